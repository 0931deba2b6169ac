#!lua flags=allow-oom
-- A narration is there, or (A.failed) can't be had: the document's own status stays what it is.
-- KEYS: job gates crashes doc.summarized doc.summarized.dead
-- INCLUDE: base job owner retire
-- A: job run id rev audio timeline failed usage worker attempts
-- Answers 'recorded', 'stale' (another rev), 'duplicate', 'not_owner' or 'gone'. Safe to repeat.

if not is_wanted('doc.summarized', A.run) then
  drop('doc.summarized', A.id)
  return 'gone'
end
if A.rev ~= tonumber(redis.call('HGET', K.job, 'rev')) then
  drop('doc.summarized', A.id)
  return 'stale'
end
if A.failed ~= '' and not owns('doc.summarized', A.id, A.worker) then return 'not_owner' end
local answer = 'duplicate'
if redis.call('HSETNX', K.gates, 'audio:' .. A.rev, A.audio) == 1 then
  if A.failed == '' then
    redis.call('HSET', K.job, 'audio', 'ready', 'audio_reason', '', 'audio_blob', A.audio, 'timeline', A.timeline)
  else
    bury('doc.summarized', A.id, A.worker, A.failed, A.attempts)
    redis.call('HSET', K.job, 'audio', 'failed', 'audio_reason', A.failed)
  end
  add_usage(A.usage)
  retire()
  answer = 'recorded'
end
redis.call('DEL', K.crashes)
drop('doc.summarized', A.id)
return answer
