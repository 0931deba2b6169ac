#!lua flags=allow-oom
-- Has this question been answered, or is somebody asking it? If neither, whoever calls may ask.
-- KEYS: cache
-- A: unit worker lease_ms gone (a blob that the caller found missing; '': none)
-- Answers {'hit', JSON of what was kept}, {'busy', ms until the claim runs out} or {'claimed'}. Safe to repeat: a unit
-- claims again what it has claimed, whichever worker it is with now: of two that hold it, one has lost its lease.

local value = redis.call('GET', K.cache)
local known = value and cjson.decode(value)
if known and known.blob and known.blob ~= A.gone then return {'hit', value} end
if known and known.claim and known.claim ~= A.unit then return {'busy', redis.call('PTTL', K.cache)} end
redis.call('SET', K.cache, cjson.encode({claim = A.unit, worker = A.worker}), 'PX', A.lease_ms)
return {'claimed'}
