#!lua flags=allow-oom
-- A narration that failed is spoken again; the document's own status stays what it is.
-- KEYS: job gates doc.summarized
-- INCLUDE: base job
-- A: job run rev
-- Answers 'retried', 'gone', 'changed' (another rev), 'cancelled' (workers remember that, and would drop it) or 'nothing'
-- (none has failed, or there is no summary to speak). Safe to repeat: it has not failed any more.

local job = redis.call('HMGET', K.job, 'run', 'rev', 'audio', 'summary', 'audio_reason')
if job[1] ~= A.run then return 'gone' end
if tonumber(job[2]) ~= A.rev then return 'changed' end
if job[3] ~= 'failed' or job[4] == '' then return 'nothing' end
if job[5] == SILENCED then return 'cancelled' end
redis.call('HDEL', K.gates, 'audio:' .. A.rev)
redis.call('HSET', K.job, 'audio', 'pending', 'audio_reason', '')
append('doc.summarized', {'job', A.job, 'run', A.run, 'rev', A.rev, 'summary', job[4]})
return 'retried'
