-- KEYS: job batches_queue batches_bodies clock
-- Batches of this job wait to be rendered, in turn with those of other jobs.

-- What is still to be requested of this job: `todo`, then `next` to `last`.
local function ring()
  local body = redis.call('HGET', K.batches_bodies, A.job)
  if body then return cjson.decode(body) end
  local found = redis.call('HMGET', K.job, 'run', 'weight', 'batch_size')
  return {run = found[1], next = 0, last = -1, weight = tonumber(found[2]), size = tonumber(found[3])}
end

-- wanted: batches, an array that is not empty.
local function request_batches(wanted)
  local plan = ring()
  local todo = plan.todo or {}
  for _, batch in ipairs(wanted) do todo[#todo + 1] = batch end
  plan.todo = todo
  redis.call('HSET', K.batches_bodies, A.job, cjson.encode(plan))
  local turn = (tonumber(redis.call('HGET', K.clock, 'vb')) or 0) + 1 / plan.weight
  redis.call('ZADD', K.batches_queue, 'NX', turn, A.job)
end
