-- KEYS: job started
-- A job has ended: its status is set, nothing of it stays behind in the fleet's keys, and its own have a lifetime.

local function end_job(status, reason)
  redis.call('HSET', K.job, 'status', status, 'reason', reason, 'ended_ms', now_ms(),
    'started_ms', redis.call('HGET', K.started, A.job) or 0)
  forget_job()
  retire()
end
