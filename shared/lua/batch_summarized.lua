#!lua flags=allow-oom
-- A batch has its summary, or (A.failed) is known to have none: the job goes on, the batch is named.
-- KEYS: job batches gates batches.summarized pages.analyzed.dead
-- INCLUDE: base job owner release
-- A: job run id batch rev blob failed usage worker attempts; A.bury: the failure is a dead letter, and only the owner's
-- Answers 'recorded', 'duplicate', 'stale' (another rev), 'not_owner' or 'gone' (the job has ended; or the server has
-- lost its last second, and with it pages that this summary rests on). Safe to repeat.

if not is_live(A.run) then
  drop('pages.analyzed', A.id)
  return 'gone'
end
if A.rev ~= (tonumber(redis.call('HGET', K.batches, 'rev:' .. A.batch)) or 1) then
  drop('pages.analyzed', A.id)
  return 'stale'
end
local job = redis.call('HMGET', K.job, 'batch_size', 'pages')
local size, pages = tonumber(job[1]), tonumber(job[2])
if (tonumber(redis.call('HGET', K.batches, 'ended:' .. A.batch)) or 0) < math.min(size, pages - A.batch * size) then
  drop('pages.analyzed', A.id)
  return 'gone'
end
if A.bury and not owns('pages.analyzed', A.id, A.worker) then return 'not_owner' end
local answer = 'duplicate'
if redis.call('HSETNX', K.gates, 'batch:' .. A.batch .. ':' .. A.rev, A.blob) == 1 then
  if A.bury then bury('pages.analyzed', A.id, A.worker, A.failed, A.attempts) end
  redis.call('HSET', K.batches, 'summary:' .. A.batch, cjson.encode({blob = A.blob, failed = A.failed}))
  redis.call('HINCRBY', K.job, A.failed == '' and 'batches_done' or 'batches_failed', 1)
  add_usage(A.usage)
  local counts = redis.call('HMGET', K.job, 'batches_done', 'batches_failed', 'batches')
  -- The document's summary is of the job's rev, which is ahead of the batch's where a plan was tried again.
  local fields = {'job', A.job, 'run', A.run, 'batch', A.batch, 'rev', redis.call('HGET', K.job, 'rev')}
  if (tonumber(counts[1]) or 0) + (tonumber(counts[2]) or 0) == tonumber(counts[3]) then
    fields[#fields + 1] = 'last'
    fields[#fields + 1] = 1
  end
  append('batches.summarized', fields)
  answer = 'recorded'
end
drop('pages.analyzed', A.id)
release()
return answer
