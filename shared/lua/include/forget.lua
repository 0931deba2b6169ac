-- KEYS: gates crashes ready tags started active batches_queue batches_bodies
-- What the fleet's keys hold of a job as such; its pages leave them one by one.

local function forget_job()
  for _, name in ipairs({'ready', 'tags', 'started', 'batches_bodies'}) do
    redis.call('HDEL', K[name], A.job)
  end
  redis.call('ZREM', K.active, A.job)
  redis.call('ZREM', K.batches_queue, A.job)
  redis.call('DEL', K.crashes)
end
