#!lua flags=allow-oom
-- The document is summarised, or (A.failed) has no summary: the job ends, its status says how much of it is there, and
-- its narration begins where one is wanted.
-- KEYS: job batches.summarized.dead doc.summarized
-- INCLUDE: base job owner release retire forget end_job
-- A: job run id rev blob failed usage worker attempts; A.bury: the failure is a dead letter, and only the owner's
-- Answers the job's status, or 'duplicate', 'stale', 'not_owner', 'gone' (the job has ended; or the server has lost its
-- last second, and with it batches that this summary rests on). Safe to repeat.

if not is_live(A.run) then
  drop('batches.summarized', A.id)
  return 'gone'
end
local job = redis.call('HMGET', K.job, 'rev', 'done', 'failed', 'batches_failed', 'batches_done', 'batches')
if A.rev ~= tonumber(job[1]) then
  drop('batches.summarized', A.id)
  return 'stale'
end
if (tonumber(job[4]) or 0) + (tonumber(job[5]) or 0) ~= tonumber(job[6]) then
  drop('batches.summarized', A.id)
  return 'gone'
end
if A.bury then
  if not owns('batches.summarized', A.id, A.worker) then return 'not_owner' end
  bury('batches.summarized', A.id, A.worker, A.failed, A.attempts)
end
redis.call('HSETNX', K.gates, 'summary:' .. A.rev, A.blob)
add_usage(A.usage)

local done, gaps, lost = tonumber(job[2]) or 0, tonumber(job[3]) or 0, tonumber(job[4]) or 0
local reasons = {}
if done == 0 and A.failed ~= '' then gaps, lost = 0, 0 end -- one sentence says it all
if gaps > 0 then reasons[#reasons + 1] = gaps .. (gaps == 1 and ' page' or ' pages') .. ' could not be read' end
if lost > 0 then reasons[#reasons + 1] = lost .. (lost == 1 and ' batch has' or ' batches have') .. ' no summary' end
if A.failed ~= '' then reasons[#reasons + 1] = A.failed end
local status = done == 0 and 'failed' or #reasons > 0 and 'partial' or 'completed'
redis.call('HSET', K.job, 'summary', A.blob)
if redis.call('HGET', K.job, 'narrate') == '1' then
  if A.blob ~= '' then
    redis.call('HSET', K.job, 'audio', 'pending')
    append('doc.summarized', {'job', A.job, 'run', A.run, 'rev', A.rev, 'summary', A.blob})
  else
    redis.call('HSET', K.job, 'audio', 'failed', 'audio_reason', 'there is no summary to speak')
  end
end
end_job(status, table.concat(reasons, '; ')) -- after the narration is known to come: its job has no lifetime yet
drop('batches.summarized', A.id)
release()
return status
