#!lua flags=allow-oom
-- What came of a call, or of permits that were not used.
-- KEYS: limiter
-- INCLUDE: base
-- A: kind ok|busy|down|stop|refused|unreadable|cancelled|unused; n (of unused), tokens, estimate, wait_ms, rpm, tpm
--    (0: not told by the server), why, probe (its number, where it was one, else 0)
-- Answers 1 where a failure counts against its page, 0 where the model is to blame: most calls fail, several failed one
-- after the other, or none was ever answered. A repeat settles again: harmless but for the token estimate.

local MEMORY_MS = 30000        -- successes and failures are forgotten at this pace
local FEWEST_FAILURES = 2.5    -- so many, and more than successes, are an outage: the third one, a little faded
local IN_A_ROW = 3             -- likewise, however long they took: calls that time out are minutes apart
local MANY_IN_A_ROW = 10       -- so many are an outage whatever was before: a fast fleet has hundreds of fresh successes
local PATIENCE_MS = 600000     -- after so long a probe counts again: a document that is alone and always fails must end
local STEP_MS, SLOWEST_MS = 1000, 30000
local SLOWEST_PROBE_MS = 15000 -- an outage is noticed to be over within so long
local LEARNING = 0.1
local EXPIRES_MS = 3600000

local now = now_ms()
local h = redis.call('HMGET', K.limiter, 'ok', 'bad', 'judged_at', 'down', 'down_since', 'step', 'estimate', 'requests',
  'tokens', 'busy_step', 'paused_until', 'probe', 'seen', 'in_a_row')
local fade = math.exp(-math.max(0, now - (tonumber(h[3]) or now)) / MEMORY_MS)
local ok, bad = (tonumber(h[1]) or 0) * fade, (tonumber(h[2]) or 0) * fade
local probed = A.probe > 0 and A.probe == tonumber(h[12])
local counted = 1

local function refund(n, tokens)
  if h[8] then redis.call('HINCRBYFLOAT', K.limiter, 'requests', n) end
  if h[9] then redis.call('HINCRBYFLOAT', K.limiter, 'tokens', tokens) end
end

local function learn()
  if A.rpm > 0 then redis.call('HSET', K.limiter, 'rpm', A.rpm) end
  if A.tpm > 0 then redis.call('HSET', K.limiter, 'tpm', A.tpm) end
end

local function answered()
  ok = ok + 1
  redis.call('HSET', K.limiter, 'seen', 1)
  redis.call('HDEL', K.limiter, 'down', 'down_since', 'step', 'stopped', 'probe_at', 'probe', 'in_a_row', 'why')
  learn()
end

-- No probe before so long; the server's own wish counts where it is longer.
local function probe_after(wait_ms)
  redis.call('HSET', K.limiter, 'probe_at', now + math.max(wait_ms, A.wait_ms), 'why', A.why)
  redis.call('HDEL', K.limiter, 'probe')
end

if A.kind == 'ok' then
  answered()
  redis.call('HDEL', K.limiter, 'busy_step', 'paused_until')
  local estimate = tonumber(h[7]) or A.tokens
  redis.call('HSET', K.limiter, 'estimate', estimate + LEARNING * (A.tokens - estimate))
  refund(0, A.estimate - A.tokens)
elseif A.kind == 'refused' or A.kind == 'unreadable' then
  answered()
elseif A.kind == 'busy' then
  answered()
  local paused_until = tonumber(h[11]) or 0
  local step = tonumber(h[10]) or STEP_MS
  if A.wait_ms > 0 then
    paused_until = math.max(paused_until, now + A.wait_ms)
  elseif paused_until <= now then -- calls that were in flight together are one refusal, not a hundred
    paused_until, step = now + step, math.min(SLOWEST_MS, step * 2)
  end
  redis.call('HSET', K.limiter, 'paused_until', paused_until, 'busy_step', step, 'why', A.why)
elseif A.kind == 'down' then
  bad = bad + 1
  local in_a_row = redis.call('HINCRBY', K.limiter, 'in_a_row', 1)
  local most_fail = bad > ok and (bad >= FEWEST_FAILURES or in_a_row >= IN_A_ROW)
  if h[4] then
    counted = now - tonumber(h[5]) > PATIENCE_MS and 1 or 0
    if counted == 1 then redis.call('HSET', K.limiter, 'down_since', now) end
    if probed then
      local step = math.min(SLOWEST_PROBE_MS, tonumber(h[6]) * 2)
      redis.call('HSET', K.limiter, 'step', step)
      probe_after(step)
    end
  elseif not h[13] or most_fail or in_a_row >= MANY_IN_A_ROW then
    counted = 0
    redis.call('HSET', K.limiter, 'down', 1, 'down_since', now, 'step', STEP_MS)
    probe_after(STEP_MS)
  else
    counted = in_a_row < IN_A_ROW and 1 or 0
  end
elseif A.kind == 'stop' then
  counted = 0
  redis.call('HSET', K.limiter, 'stopped', 1)
  probe_after(SLOWEST_PROBE_MS)
elseif probed then -- cancelled or unused: it told nothing, and is another's
  redis.call('HDEL', K.limiter, 'probe_at', 'probe')
end
if A.kind == 'unused' then refund(A.n, A.n * A.estimate) end
redis.call('HSET', K.limiter, 'ok', ok, 'bad', bad, 'judged_at', now)
redis.call('PEXPIRE', K.limiter, EXPIRES_MS)
return counted
