#!lua flags=allow-oom
-- Takes over one entry whose lease has run out, and counts the crash where its owner is gone.
-- KEYS: stream job crashes deaths
-- INCLUDE: base job
-- A: stream id owner worker idle_ms run unit crashed
-- Answers the crashes that count against this unit, or nil where the entry is no longer stale or no longer the owner's.
-- Safe to repeat: a crash is counted once by unit and owner.

local MEMORY_MS = 600000 -- deaths of workers are remembered so long
local BURIED, CERTAIN = 3, 6 -- crashes after which a unit is given up; for certain, whatever else dies

-- A page that dies with its workers dies alone. Where as many others have died without it, it may just have been there:
-- it is tried apart a few times more.
local function counting(crashes)
  if crashes < BURIED or crashes >= CERTAIN then return crashes end
  local others = redis.call('ZCOUNT', K.deaths, now_ms() - MEMORY_MS, '+inf') - crashes
  return others < crashes and crashes or BURIED - 1
end

local group = GROUP[A.stream]
local row = redis.call('XPENDING', K.stream, group, 'IDLE', A.idle_ms, A.id, A.id, 1)[1]
if not row or row[2] ~= A.owner then return nil end
-- From this id on, one entry: it is stale, so it is the one that is claimed.
local claimed = redis.call('XAUTOCLAIM', K.stream, group, A.worker, A.idle_ms, A.id, 'COUNT', 1, 'JUSTID')[2]
if claimed[1] ~= A.id then return nil end
if A.crashed and is_wanted(A.stream, A.run) and redis.call('HSETNX', K.crashes, A.unit .. '|' .. A.owner, 1) == 1 then
  redis.call('HINCRBY', K.crashes, A.unit, 1)
  redis.call('ZADD', K.deaths, 'NX', now_ms(), A.owner)
  redis.call('ZREMRANGEBYSCORE', K.deaths, '-inf', now_ms() - MEMORY_MS)
  redis.call('PEXPIRE', K.deaths, MEMORY_MS)
end
return counting(tonumber(redis.call('HGET', K.crashes, A.unit)) or 0)
