-- KEYS: job started active
-- A job that has ended goes on, in its next rev: what was told of its end is taken back.

-- Answers the new rev. A page that is asked again has the round rev - 1: only ended jobs are opened again, so that all
-- pages that are open belong to this rev.
local function reopen(status)
  unretire()
  local started = redis.call('HGET', K.job, 'started_ms')
  if started and started ~= '0' then redis.call('HSET', K.started, A.job, started) end
  redis.call('HSET', K.job, 'status', status, 'reason', '', 'ended_ms', 0, 'summary', '',
    'audio', 'none', 'audio_reason', '', 'audio_blob', '', 'timeline', '')
  redis.call('ZADD', K.active, now_ms(), A.job)
  return redis.call('HINCRBY', K.job, 'rev', 1)
end
