-- Shared by all ledger scripts. The loader puts before this: K (name -> key), GROUP (stream -> group), A (arguments).

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- An entry leaves its stream only here: acked and deleted together, so XLEN is what waits and what is in hand.
local function drop(stream, id)
  redis.call('XACK', K[stream], GROUP[stream], id)
  redis.call('XDEL', K[stream], id)
end

-- fields: array of name, value, name, value. The order is what a person sees in XRANGE.
local function append(stream, fields)
  return redis.call('XADD', K[stream], '*', unpack(fields))
end
