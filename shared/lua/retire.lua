#!lua flags=allow-oom
-- Gives an ended job its lifetime, where it has none: its end was recorded by a release that gave none, before a keeper
-- had said how long, or while nothing was to be forgotten.
-- KEYS: job
-- INCLUDE: base job retire
-- A: job
-- Answers 1 where it got one. Safe to repeat: what has a lifetime keeps it.

if not ENDED[redis.call('HGET', K.job, 'status')] or redis.call('PTTL', K.job) ~= -1 then return 0 end
return retire() and 1 or 0
