#!lua flags=allow-oom
-- The question is still being asked: its claim holds on.
-- KEYS: cache
-- A: unit worker lease_ms
-- Answers 1, or 0 where it is not this worker's claim any more. Safe to repeat.

local value = redis.call('GET', K.cache)
local known = value and cjson.decode(value)
if not known or known.claim ~= A.unit or known.worker ~= A.worker then return 0 end
return redis.call('PEXPIRE', K.cache, A.lease_ms)
