-- KEYS: job gates crashes ready tags started active batches_queue batches_bodies
-- A job has ended: its status is set, nothing of it stays behind in the fleet's keys, and its own have a lifetime.

local function end_job(status, reason)
  redis.call('HSET', K.job, 'status', status, 'reason', reason, 'ended_ms', now_ms(),
    'started_ms', redis.call('HGET', K.started, A.job) or 0)
  for _, name in ipairs({'ready', 'tags', 'started', 'batches_bodies'}) do
    redis.call('HDEL', K[name], A.job)
  end
  redis.call('ZREM', K.active, A.job)
  redis.call('ZREM', K.batches_queue, A.job)
  redis.call('DEL', K.crashes)
  retire()
end
