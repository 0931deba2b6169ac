#!lua flags=allow-oom
-- The question is answered: whoever asks it next finds the answer.
-- KEYS: cache
-- A: value (JSON with `blob`) ttl_ms
-- Answers 1, or 0 where another answer was kept before. Safe to repeat. No owner check: a claim that ran out under a call
-- does not make its answer worth less, and whoever claimed it since may find it here.

local value = redis.call('GET', K.cache)
if value and cjson.decode(value).blob then return 0 end
redis.call('SET', K.cache, A.value, 'PX', A.ttl_ms)
return 1
