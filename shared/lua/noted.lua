#!lua flags=allow-oom
-- Entries that need nothing more leave their stream.
-- KEYS: stream
-- INCLUDE: base
-- A: stream ids
-- Answers how many were there. Safe to repeat.

local gone = 0
for _, id in ipairs(A.ids) do
  redis.call('XACK', K.stream, GROUP[A.stream], id)
  gone = gone + redis.call('XDEL', K.stream, id)
end
return gone
