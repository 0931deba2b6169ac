-- KEYS: job
-- Is the entry's job still the one that asked, and still open?

local SILENCED = 'it was cancelled' -- why there is no narration: a cancel stopped it
local ENDED = {completed = true, partial = true, failed = true, cancelled = true}

local function is_live(run)
  local found = redis.call('HMGET', K.job, 'run', 'status')
  return found[1] == run and not ENDED[found[2]]
end

-- Is an entry of this stream still wanted? A narration is after its job's end, until it has its own.
local function is_wanted(stream, run)
  if stream ~= 'doc.summarized' then return is_live(run) end
  local found = redis.call('HMGET', K.job, 'run', 'audio')
  return found[1] == run and (found[2] == 'pending' or found[2] == 'speaking')
end

-- The number in the document of a page asked for: the selection is spans such as 1-50,80; empty: all pages.
local function page_of(ordinal)
  local selection = redis.call('HGET', K.job, 'selection')
  if not selection or selection == '' then return ordinal + 1 end
  for first, last in selection:gmatch('(%d+)%-?(%d*)') do
    first = tonumber(first)
    last = tonumber(last) or first
    if ordinal <= last - first then return first + ordinal end
    ordinal = ordinal - (last - first + 1)
  end
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
