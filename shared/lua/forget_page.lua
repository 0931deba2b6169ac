#!lua flags=allow-oom
-- The name of a page whose entry and whose job are over: what an older release, or a lost second, has left behind.
-- KEYS: job at pages.requested
-- INCLUDE: base job
-- A: job unit
-- Answers 1 where it went. Safe to repeat. An open job's names are put right by `reconcile`.

local id, status = redis.call('HGET', K.at, A.unit), redis.call('HGET', K.job, 'status')
if not id or (status and not ENDED[status]) then return 0 end
if #redis.call('XRANGE', K['pages.requested'], id, id) > 0 then return 0 end
return redis.call('HDEL', K.at, A.unit)
