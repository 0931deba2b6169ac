#!lua flags=allow-oom
-- The document can't be planned: the job fails, with its reason and a dead letter.
-- KEYS: job doc.submitted.dead
-- INCLUDE: base job owner release retire forget end_job
-- A: job run id worker reason attempts
-- Answers 'recorded', 'not_owner' or 'gone'. Safe to repeat.

if not is_live(A.run) then
  drop('doc.submitted', A.id)
  return 'gone'
end
if not owns('doc.submitted', A.id, A.worker) then return 'not_owner' end
bury('doc.submitted', A.id, A.worker, A.reason, A.attempts)
end_job('failed', A.reason)
drop('doc.submitted', A.id)
release()
return 'recorded'
