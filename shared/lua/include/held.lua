-- What a stream holds of this job, found by looking through it: there is no index.

local LOOK_THROUGH = 1000 -- entries; a longer stream is not looked through, and nothing is concluded from it

-- Answers the facts of this job and run, waiting or in hand, with `deferred` also those that wait for another try;
-- nil where there are too many entries to tell.
local function held(stream, run, deferred)
  local found = {}
  local function see(id, fields)
    local fact = {id = id}
    for i = 1, #fields, 2 do fact[fields[i]] = fields[i + 1] end
    if fact.job == A.job and fact.run == run then found[#found + 1] = fact end
  end
  if redis.call('XLEN', K[stream]) > LOOK_THROUGH then return nil end
  for _, entry in ipairs(redis.call('XRANGE', K[stream], '-', '+')) do see(entry[1], entry[2]) end
  if not deferred then return found end
  local units = redis.call('ZRANGE', K[stream .. '.deferred'], 0, LOOK_THROUGH)
  if #units > LOOK_THROUGH then return nil end
  for _, unit in ipairs(units) do
    local body = redis.call('HGET', K[stream .. '.bodies'], unit)
    if body then see('', cjson.decode(body)) end
  end
  return found
end
