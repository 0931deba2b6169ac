-- A zombie must not fail, defer or give back what somebody else holds now: XACK itself asks nobody.

local function owns(stream, id, worker)
  local row = redis.call('XPENDING', K[stream], GROUP[stream], id, id, 1)[1]
  return row ~= nil and row[2] == worker
end

-- The entry goes to the dead letters with what a person needs to judge it.
local function bury(stream, id, worker, reason, attempts)
  local found = redis.call('XRANGE', K[stream], id, id)[1]
  local fields = found and found[2] or {}
  for _, extra in ipairs({'reason', reason, 'tries', attempts, 'worker', worker, 'entry', id}) do
    fields[#fields + 1] = extra
  end
  redis.call('XADD', K[stream .. '.dead'], 'MAXLEN', '~', 10000, '*', unpack(fields))
end
