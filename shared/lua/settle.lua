#!lua flags=allow-oom
-- What came of a call, or of permits that were not used.
-- KEYS: limiter
-- INCLUDE: base
-- A: kind ok|busy|down|stop|refused|unreadable|cancelled|unused; n (of unused), tokens, estimate, wait_ms, rpm, tpm
--    (0: not told by the server), why
-- Answers 1 where a failure counts against its page, 0 where most calls fail: then the fleet is in an outage of the
-- model, which is no page's fault. A repeat settles again: harmless but for the token estimate.

local MEMORY_MS = 30000        -- successes and failures are forgotten at this pace
local FEWEST_FAILURES = 2.5    -- so many, and more than successes, are an outage: the third one, a little faded
local PATIENCE_MS = 900000     -- after so long a probe counts again: a document that is alone and always fails must end
local PROBE_MS, SLOWEST_MS = 1000, 30000
local STOP_PROBE_MS = 15000
local LEARNING = 0.1
local EXPIRES_MS = 3600000

local now = now_ms()
local h = redis.call('HMGET', K.limiter, 'ok', 'bad', 'judged_at', 'down', 'down_since', 'step', 'estimate', 'requests',
  'tokens', 'busy_step', 'paused_until', 'probing')
local fade = math.exp(-math.max(0, now - (tonumber(h[3]) or now)) / MEMORY_MS)
local ok, bad = (tonumber(h[1]) or 0) * fade, (tonumber(h[2]) or 0) * fade
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
  redis.call('HDEL', K.limiter, 'down', 'down_since', 'step', 'stopped', 'probe_at', 'probing', 'why')
  learn()
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
  local step = tonumber(h[10]) or PROBE_MS
  if A.wait_ms > 0 then
    paused_until = math.max(paused_until, now + A.wait_ms)
  elseif paused_until <= now then -- calls that were in flight together are one refusal, not a hundred
    paused_until, step = now + step, math.min(SLOWEST_MS, step * 2)
  end
  redis.call('HSET', K.limiter, 'paused_until', paused_until, 'busy_step', step, 'why', A.why)
elseif A.kind == 'down' then
  bad = bad + 1
  if not h[4] and bad >= FEWEST_FAILURES and bad > ok then
    counted = 0
    redis.call('HSET', K.limiter, 'down', 1, 'down_since', now, 'step', PROBE_MS, 'probe_at', now + PROBE_MS,
      'why', A.why)
  elseif h[4] then
    local since, step = tonumber(h[5]), math.min(SLOWEST_MS, tonumber(h[6]) * 2)
    counted = now - since > PATIENCE_MS and 1 or 0
    if counted == 1 then redis.call('HSET', K.limiter, 'down_since', now) end
    if h[12] then redis.call('HSET', K.limiter, 'step', step, 'probe_at', now + step, 'why', A.why) end
  end
  redis.call('HDEL', K.limiter, 'probing')
elseif A.kind == 'stop' then
  counted = 0
  redis.call('HSET', K.limiter, 'stopped', 1, 'probe_at', now + STOP_PROBE_MS, 'why', A.why)
elseif A.kind == 'cancelled' then
  redis.call('HDEL', K.limiter, 'probe_at', 'probing')
elseif A.kind == 'unused' then
  redis.call('HDEL', K.limiter, 'probe_at', 'probing')
  refund(A.n, A.n * A.estimate)
end
redis.call('HSET', K.limiter, 'ok', ok, 'bad', bad, 'judged_at', now)
redis.call('PEXPIRE', K.limiter, EXPIRES_MS)
return counted
