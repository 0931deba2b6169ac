-- KEYS: job gates crashes ready tags started active batches_queue batches_bodies
-- A job has ended: its status is set, and nothing of it stays behind in the fleet's keys.

-- What the fleet's keys hold of a job as such; its pages leave them one by one.
local function forget_job()
  for _, name in ipairs({'ready', 'tags', 'started', 'batches_bodies'}) do
    redis.call('HDEL', K[name], A.job)
  end
  redis.call('ZREM', K.active, A.job)
  redis.call('ZREM', K.batches_queue, A.job)
  redis.call('DEL', K.crashes)
end

local function end_job(status, reason)
  redis.call('HSET', K.job, 'status', status, 'reason', reason, 'ended_ms', now_ms(),
    'started_ms', redis.call('HGET', K.started, A.job) or 0)
  forget_job()
end
