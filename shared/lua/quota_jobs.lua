-- One more job of this API key, where it may have one.
-- KEYS: quota_jobs
-- INCLUDE: base
-- A: job limit
-- Answers 1 or 0. Safe to repeat: a job counts once.

local EXPIRES_MS = 30 * 86400000 -- a job that lasts longer than a month is counted no more

if not redis.call('ZSCORE', K.quota_jobs, A.job) then
  if redis.call('ZCARD', K.quota_jobs) >= A.limit then return 0 end
  redis.call('ZADD', K.quota_jobs, now_ms(), A.job)
end
redis.call('PEXPIRE', K.quota_jobs, EXPIRES_MS)
return 1
