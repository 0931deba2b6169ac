#!lua flags=allow-oom
-- The pages of a document are known: its batches join the ring of those that wait to be rendered.
-- KEYS: job gates
-- INCLUDE: base job release
-- A: job run id pages
-- Answers 'planned', 'duplicate' or 'gone'. Safe to repeat.

if not is_live(A.run) then
  drop('doc.submitted', A.id)
  return 'gone'
end
local answer = 'duplicate'
if redis.call('HSETNX', K.gates, 'plan', A.pages) == 1 then
  local found = redis.call('HMGET', K.job, 'batch_size', 'weight', 'whole_up_to')
  local size, weight = tonumber(found[1]), tonumber(found[2])
  if A.pages <= tonumber(found[3]) then size = math.max(size, A.pages) end
  local batches = math.ceil(A.pages / size)
  redis.call('HSET', K.job, 'pages', A.pages, 'batch_size', size, 'batches', batches)
  redis.call('HSET', K.batches_bodies, A.job,
    cjson.encode({run = A.run, next = 0, last = batches - 1, weight = weight, size = size}))
  redis.call('ZADD', K.batches_queue, (tonumber(redis.call('HGET', K.clock, 'vb')) or 0) + 1 / weight, A.job)
  answer = 'planned'
end
drop('doc.submitted', A.id)
release()
return answer
