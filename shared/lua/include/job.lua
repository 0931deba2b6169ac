-- KEYS: job
-- Is the entry's job still the one that asked, and still open?

local ENDED = {completed = true, partial = true, failed = true, cancelled = true}

local function is_live(run)
  local found = redis.call('HMGET', K.job, 'run', 'status')
  return found[1] == run and not ENDED[found[2]]
end

-- Adds what the calls behind an outcome used; a call without a known price is counted apart, not guessed.
local function add_usage(usage)
  if usage.calls == 0 then return end
  redis.call('HINCRBY', K.job, 'calls', usage.calls)
  redis.call('HINCRBY', K.job, 'tokens_in', usage.tokens_in)
  redis.call('HINCRBY', K.job, 'tokens_out', usage.tokens_out)
  if usage.cost_usd == cjson.null then
    redis.call('HINCRBY', K.job, 'unpriced', usage.calls)
  elseif usage.cost_usd > 0 then
    redis.call('HINCRBYFLOAT', K.job, 'cost_usd', usage.cost_usd)
  end
end
