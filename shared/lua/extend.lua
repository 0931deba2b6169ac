#!lua flags=allow-oom
-- The call that probes goes on: nobody else need try meanwhile.
-- KEYS: limiter
-- INCLUDE: base probe
-- A: probe
-- Answers 1, or 0 where it is another's turn by now. Safe to repeat.

if tonumber(redis.call('HGET', K.limiter, 'probe')) ~= A.probe then return 0 end
keep_probe(A.probe)
return 1
