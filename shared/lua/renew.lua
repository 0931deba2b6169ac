#!lua flags=allow-oom
-- Renews the leases of a worker's entries; what is not its own any more is told, never taken back.
-- KEYS: stream
-- INCLUDE: base
-- A: stream worker ids
-- Answers the ids that are lost. Safe to repeat. JUSTID leaves the delivery count alone.

local group, lost = GROUP[A.stream], {}
for _, id in ipairs(A.ids) do
  local mine = redis.call('XPENDING', K.stream, group, id, id, 1, A.worker)
  if #mine == 0 then
    lost[#lost + 1] = id
  else
    redis.call('XCLAIM', K.stream, group, A.worker, 0, id, 'JUSTID')
  end
end
return lost
