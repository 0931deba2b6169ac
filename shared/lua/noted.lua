#!lua flags=allow-oom
-- Entries that need nothing more leave their stream.
-- KEYS: stream at
-- INCLUDE: base
-- A: stream ids; unit (of a page's entry, which is then the only one)
-- Answers how many were there. Safe to repeat.

local gone = 0
for _, id in ipairs(A.ids) do
  redis.call('XACK', K.stream, GROUP[A.stream], id)
  gone = gone + redis.call('XDEL', K.stream, id)
  if A.stream == 'pages.requested' and redis.call('HGET', K.at, A.unit) == id then redis.call('HDEL', K.at, A.unit) end
end
return gone
