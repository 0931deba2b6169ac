#!lua flags=allow-oom
-- Removes a consumer that holds nothing: XGROUP DELCONSUMER would destroy what it holds.
-- KEYS: stream
-- A: stream consumer
-- Answers 1 if it was removed. Safe to repeat.

local group = GROUP[A.stream]
if #redis.call('XPENDING', K.stream, group, '-', '+', 1, A.consumer) > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', K.stream, group, A.consumer)
return 1
