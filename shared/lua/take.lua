#!lua flags=allow-oom
-- May the fleet ask this model now? Grants up to A.wanted requests, on the server's clock.
-- KEYS: limiter
-- INCLUDE: base probe
-- A: wanted rpm tpm (0: as learnt from the server, else without limit); looking: a probe is not taken, only looked for
-- Answers {granted, wait ms, tokens reserved a request, why, probe}. A repeat takes again; what is not used is settled.
-- `probe`: its number where the one granted is a probe; -1: one is to be had, by whoever has a call to make.
--
-- The buckets refill continuously and hold one second of the limit. Before the first answer, after an outage began and
-- while the key is refused, one probe at a time goes out.

local LOOK_MS = 200          -- those who wait for the very first answer look this often: it is mostly a call away
local PROBED_MS = 2500       -- those who wait for another probe's answer come again, before its turn is over
local FIRST_ESTIMATE = 2000  -- tokens of a call, before any was seen
local EXPIRES_MS = 3600000

local now = now_ms()
local h = redis.call('HMGET', K.limiter, 'requests', 'tokens', 'at', 'rpm', 'tpm', 'estimate', 'seen', 'down', 'stopped',
  'probe_at', 'paused_until', 'why', 'probe')
local estimate = tonumber(h[6]) or FIRST_ESTIMATE

local paused_until = tonumber(h[11]) or 0
if paused_until > now then return {0, paused_until - now, math.ceil(estimate), h[12] or '', 0} end

if not h[7] or h[8] or h[9] then
  local probe_at = tonumber(h[10]) or 0
  if probe_at > now then
    local wait = probe_at - now
    if h[13] then wait = math.min(wait, PROBED_MS) end
    if not (h[8] or h[9]) then wait = math.min(wait, LOOK_MS) end
    return {0, wait, math.ceil(estimate), h[12] or '', 0}
  end
  if A.looking then return {0, 0, math.ceil(estimate), h[12] or '', -1} end
  local n = redis.call('HINCRBY', K.limiter, 'probes', 1)
  keep_probe(n)
  redis.call('PEXPIRE', K.limiter, EXPIRES_MS)
  return {1, 0, math.ceil(estimate), '', n}
end

local rpm = A.rpm > 0 and A.rpm or tonumber(h[4]) or 0
local tpm = A.tpm > 0 and A.tpm or tonumber(h[5]) or 0
local granted, wait_ms = A.wanted, 0
local passed = math.max(0, now - (tonumber(h[3]) or now))
local requests, tokens = 0, 0
if rpm > 0 then
  local most = math.max(1, rpm / 60)
  requests = math.min(most, (tonumber(h[1]) or most) + passed * rpm / 60000)
  granted = math.min(granted, math.floor(requests))
  if granted < 1 then wait_ms = math.max(wait_ms, (1 - requests) * 60000 / rpm) end
end
if tpm > 0 then
  local most = math.max(estimate, tpm / 60)
  tokens = math.min(most, (tonumber(h[2]) or most) + passed * tpm / 60000)
  granted = math.min(granted, math.floor(tokens / estimate))
  if granted < 1 then wait_ms = math.max(wait_ms, (estimate - tokens) * 60000 / tpm) end
end
granted = math.max(0, granted)
redis.call('HSET', K.limiter, 'requests', requests - granted, 'tokens', tokens - granted * estimate, 'at', now)
redis.call('PEXPIRE', K.limiter, EXPIRES_MS)
return {granted, math.ceil(wait_ms), math.ceil(estimate), '', 0}
