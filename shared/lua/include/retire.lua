-- KEYS: job read gaps rendered batches gates clock ended
-- The lifetime of an ended job: the server forgets its keys, the keeper its blobs (`ended` tells it when and which).

local OF_JOB = {'job', 'read', 'gaps', 'rendered', 'batches', 'gates'}

local function ended_as()
  local found = redis.call('HMGET', K.job, 'run', 'source')
  return A.job .. ' ' .. found[1] .. ' ' .. found[2]
end

-- From now on, unless a narration is still to come. Nothing has a lifetime before a keeper has said how long, and
-- nothing where it said 0.
local function retire()
  local audio = redis.call('HGET', K.job, 'audio')
  if audio == 'pending' or audio == 'speaking' then return false end
  local retention = tonumber(redis.call('HGET', K.clock, 'retention_ms')) or 0
  if retention == 0 then return false end
  local at = string.format('%d', now_ms() + retention)
  redis.call('ZADD', K.ended, at, ended_as())
  for _, name in ipairs(OF_JOB) do redis.call('PEXPIREAT', K[name], at) end
  return true
end

-- It goes on: it is kept until it has ended again.
local function unretire()
  for _, name in ipairs(OF_JOB) do redis.call('PERSIST', K[name]) end
  redis.call('ZREM', K.ended, ended_as())
end
