#!lua flags=allow-oom
-- An entry that is no fact, or that nothing hangs on, goes to the dead letters as it is.
-- KEYS: stream dead
-- INCLUDE: base
-- A: stream id reason worker
-- Answers 1 if it was there. Safe to repeat.

local found = redis.call('XRANGE', K.stream, A.id, A.id)[1]
redis.call('XACK', K.stream, GROUP[A.stream], A.id)
if not found then return 0 end
local fields = found[2]
for _, extra in ipairs({'reason', A.reason, 'worker', A.worker, 'entry', A.id}) do fields[#fields + 1] = extra end
redis.call('XADD', K.dead, 'MAXLEN', '~', 10000, '*', unpack(fields))
redis.call('XDEL', K.stream, A.id)
return 1
