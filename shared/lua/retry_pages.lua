#!lua flags=allow-oom
-- Gaps of an ended job go round again, and batches or the document that have no summary are summarised again: the job
-- is open again, in its next rev. What was read stays as it is.
-- KEYS: job gaps rendered batches ready
-- INCLUDE: base job release enqueue ring tell retire reopen
-- A: job run rev ordinals batches: ordinals that are no gap, and batches that have a summary, are left as they are
-- A.summary: the document's summary is wanted again, if it has none
-- Answers {'retried', pages, batches}, or {word}: 'gone', 'open' (it has not ended), 'cancelled', 'changed' (another
-- rev), 'nothing'. Safe to repeat: the rev has changed.

local job = redis.call('HMGET', K.job, 'status', 'run', 'rev', 'batch_size', 'weight', 'summary')
if job[2] ~= A.run then return {'gone'} end
if not ENDED[job[1]] then return {'open'} end
if job[1] == 'cancelled' then return {'cancelled'} end
if tonumber(job[3]) ~= A.rev then return {'changed'} end

local size, again, touched, batches = tonumber(job[4]), {}, {}, 0
for _, ordinal in ipairs(A.ordinals) do
  if redis.call('HDEL', K.gaps, ordinal) == 1 then
    local batch = math.floor(ordinal / size)
    again[#again + 1] = ordinal
    touched[batch] = (touched[batch] or 0) + 1
  end
end
for _, batch in ipairs(A.batches) do
  local summary = redis.call('HGET', K.batches, 'summary:' .. batch)
  if summary and cjson.decode(summary).failed ~= '' then touched[batch] = touched[batch] or 0 end
end
local summary_alone = not next(touched)
if summary_alone and not (A.summary and job[6] == '' and redis.call('HEXISTS', K.job, 'batches') == 1) then
  return {'nothing'}
end

local rev = reopen(#again > 0 and 'processing' or 'summarizing')
if #again > 0 then redis.call('HINCRBY', K.job, 'failed', -#again) end
for batch, n in pairs(touched) do
  batches = batches + 1
  if n > 0 then redis.call('HINCRBY', K.batches, 'ended:' .. batch, -n) end
  redis.call('HSET', K.batches, 'rev:' .. batch, rev)
  local summary = redis.call('HGET', K.batches, 'summary:' .. batch)
  if summary then
    redis.call('HINCRBY', K.job, cjson.decode(summary).failed == '' and 'batches_done' or 'batches_failed', -1)
    redis.call('HDEL', K.batches, 'summary:' .. batch)
  end
end
local unrendered, seen = {}, {}
for _, ordinal in ipairs(again) do
  local record = redis.call('HGET', K.rendered, ordinal)
  local page = record and cjson.decode(record)
  local batch = math.floor(ordinal / size)
  if page and page.image ~= '' then
    page.ordinal = ordinal
    enqueue(page, tonumber(job[5]), rev - 1)
    redis.call('HINCRBY', K.ready, A.job, 1)
  else
    redis.call('HDEL', K.rendered, ordinal)
    if not seen[batch] then unrendered[#unrendered + 1] = batch end
    seen[batch] = true
  end
end
if #unrendered > 0 then request_batches(unrendered) end
for batch, n in pairs(touched) do
  if n == 0 then tell_batch_read(batch) end
end
if summary_alone then tell_batches_summarized() end
release()
return {'retried', #again, batches}
