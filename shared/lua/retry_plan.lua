#!lua flags=allow-oom
-- A document whose pages could not be counted is submitted once more.
-- KEYS: job gates
-- INCLUDE: base job release retire reopen
-- A: job run rev
-- Answers 'retried', 'gone', 'open', 'cancelled', 'changed' (another rev) or 'nothing' (it was planned). Safe to repeat.

local job = redis.call('HMGET', K.job, 'status', 'run', 'rev')
if job[2] ~= A.run then return 'gone' end
if not ENDED[job[1]] then return 'open' end
if job[1] == 'cancelled' then return 'cancelled' end
if tonumber(job[3]) ~= A.rev then return 'changed' end
if redis.call('HEXISTS', K.gates, 'plan') == 1 then return 'nothing' end
reopen('queued')
append('doc.submitted', {'job', A.job, 'run', A.run})
return 'retried'
