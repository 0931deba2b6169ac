#!lua flags=allow-oom
-- May this API key ask once more now? A leaky bucket by its one number (GCRA, ITU-T I.371), on the server's clock.
-- KEYS: quota_rate
-- INCLUDE: base
-- A: rate (requests a second) burst (that may come at once)
-- Answers {allowed 0|1, left, ms until one more is allowed, ms until the burst is full}. A repeat counts again.

local interval = 1000 / A.rate
local now = now_ms()
local full_at = math.max(now, tonumber(redis.call('GET', K.quota_rate)) or 0)
local ahead = full_at - now + interval
local room = A.burst * interval - ahead
if room < -0.001 then return {0, 0, math.ceil(-room), math.ceil(full_at - now)} end
redis.call('SET', K.quota_rate, string.format('%.3f', full_at + interval), 'PX', math.ceil(ahead) + 1)
return {1, math.floor(room / interval + 0.001), 0, math.ceil(ahead)}
