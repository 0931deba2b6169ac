#!lua flags=allow-oom
-- Ends a job that is not wanted any more: what is open leaves queue, deferred set and stream, found by arithmetic.
-- KEYS: job crashes
-- INCLUDE: base job release retire forget end_job
-- A: job
-- Answers {was, status, run, pages stopped, batches stopped, rev, narration}, or nil for an unknown job. narration:
-- 'stopped' where this call ended it, 'was_stopped' where a cancel had, else ''. Safe to repeat: an ended job keeps its
-- status, and only its narration, which outlives it, is ended. Entries of the other streams see the status when they are
-- read, and are dropped.

local CHUNK = 500 -- units a command: far from Lua's limit of about 8,000 arguments

local job = redis.call('HMGET', K.job, 'status', 'run', 'pages', 'done', 'failed', 'batches', 'batches_done',
  'batches_failed', 'rev', 'audio_reason')
if not job[1] then return nil end
local rev = tonumber(job[9]) or 1
if ENDED[job[1]] then
  local narration = job[10] == SILENCED and 'was_stopped' or ''
  if is_wanted('doc.summarized', job[2]) then
    narration = 'stopped'
    redis.call('HSET', K.job, 'audio', 'failed', 'audio_reason', SILENCED)
    redis.call('ZREM', K['doc.summarized.deferred'], A.job .. ':' .. rev)
    redis.call('HDEL', K['doc.summarized.bodies'], A.job .. ':' .. rev)
    redis.call('DEL', K.crashes)
    retire()
  end
  return {job[1], job[1], job[2], 0, 0, rev, narration}
end
local pages = tonumber(job[3]) or 0
for first = 0, pages - 1, CHUNK do
  local units = {}
  for ordinal = first, math.min(first + CHUNK, pages) - 1 do units[#units + 1] = A.job .. ':' .. ordinal end
  local released = redis.call('HMGET', K.at, unpack(units))
  for i = 1, #units do
    if released[i] then drop('pages.requested', released[i]) end
  end
  redis.call('HDEL', K.at, unpack(units))
  redis.call('ZREM', K.queue, unpack(units))
  redis.call('ZREM', K['pages.requested.deferred'], unpack(units))
  redis.call('HDEL', K['pages.requested.bodies'], unpack(units))
end
end_job('cancelled', '')
release()
local open_pages = pages - (tonumber(job[4]) or 0) - (tonumber(job[5]) or 0)
local open_batches = (tonumber(job[6]) or 0) - (tonumber(job[7]) or 0) - (tonumber(job[8]) or 0)
return {job[1], 'cancelled', job[2], open_pages, open_batches, rev, ''}
