-- KEYS: limiter
-- One call alone asks whether the model answers. It is whoever's that took it, while that one says that it goes on.

local PROBE_MS = 5000 -- silence after which a probe's worker is taken for dead; it tells three times in that span

-- The n-th probe of this model's is the current one from now on.
local function keep_probe(n)
  redis.call('HSET', K.limiter, 'probe', n, 'probe_at', now_ms() + PROBE_MS)
end
