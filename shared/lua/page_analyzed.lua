#!lua flags=allow-oom
-- A page was read. The first success wins, from whichever round and worker.
-- KEYS: job read gaps rendered batches gates
-- INCLUDE: base job release end_page
-- A: job run id unit ordinal page round record(JSON) usage cached (nil: not told, which is no)
-- Answers 'recorded', 'duplicate', 'late' (a gap that its batch's summary has already told) or 'gone' (the job has ended;
-- or the server has lost its last second, and with it that this page is ready: it will be again). Safe to repeat.

local function take_out()
  local current = redis.call('HGET', K.at, A.unit)
  if current then
    drop('pages.requested', current)
    redis.call('HDEL', K.at, A.unit)
  end
  redis.call('ZREM', K.queue, A.unit)
  redis.call('ZREM', K['pages.requested.deferred'], A.unit)
  redis.call('HDEL', K['pages.requested.bodies'], A.unit)
end

if not is_live(A.run) or redis.call('HEXISTS', K.rendered, A.ordinal) == 0 then
  drop_page(A.unit, A.id)
  return 'gone'
end
if redis.call('HEXISTS', K.read, A.ordinal) == 1 then
  drop('pages.requested', A.id)
  release()
  return 'duplicate'
end
local was_gap = redis.call('HEXISTS', K.gaps, A.ordinal) == 1
if was_gap then
  local batch = math.floor(A.ordinal / tonumber(redis.call('HGET', K.job, 'batch_size')))
  if redis.call('HEXISTS', K.batches, 'summary:' .. batch) == 1 then
    drop('pages.requested', A.id)
    return 'late'
  end
end

redis.call('HSETNX', K.read, A.ordinal, A.record)
add_usage(A.usage)
if A.cached then redis.call('HINCRBY', K.job, 'cached', 1) end
if was_gap then
  redis.call('HDEL', K.gaps, A.ordinal)
  redis.call('HINCRBY', K.job, 'failed', -1)
  redis.call('HINCRBY', K.job, 'done', 1)
else
  end_page({ordinal = A.ordinal, page = A.page, round = A.round}, 'done', 'read', true)
end
take_out()
drop('pages.requested', A.id)
release()
return 'recorded'
