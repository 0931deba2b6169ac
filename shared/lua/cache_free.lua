#!lua flags=allow-oom
-- The question was not answered: anybody may ask it.
-- KEYS: cache
-- A: unit worker
-- Answers 1, or 0 where it is not this worker's claim any more. Safe to repeat.

local value = redis.call('GET', K.cache)
local known = value and cjson.decode(value)
if not known or known.claim ~= A.unit or known.worker ~= A.worker then return 0 end
return redis.call('DEL', K.cache)
