-- Reserves pages of an API key's day, until `quota_settle` says how many they are.
-- KEYS: quota_pages
-- INCLUDE: base
-- A: run job wanted limit less (whether fewer will do: nobody has counted the document's pages yet)
-- Answers {granted, left, reserved by others, ms until the day ends}; wanted 0 only asks. A repeat of the same run
-- reserves once.
--
-- Fewer are granted only where no other reservation is open: what those hold back may be free in a moment.

local DAY_MS = 86400000
local MOST = 200 -- open reservations; more would make this slow

local now = now_ms()
local day = math.floor(now / DAY_MS)
local fields = redis.call('HGETALL', K.quota_pages)
local used, reserved, open = 0, 0, 0
local known = {}
for i = 1, #fields, 2 do known[fields[i]] = fields[i + 1] end
if tonumber(known.day) == day then used = tonumber(known.used) or 0 end
for name, value in pairs(known) do
  if name:sub(1, 2) == 'r:' and name ~= 'r:' .. A.run then
    reserved, open = reserved + cjson.decode(value).pages, open + 1
  end
end
local left = math.max(0, A.limit - used - reserved)
local granted = 0
if A.wanted <= left then
  granted = A.wanted
elseif A.less and open == 0 then
  granted = left
end
if open >= MOST then granted = 0 end
if granted > 0 then
  redis.call('HSET', K.quota_pages, 'day', day, 'used', used, 'r:' .. A.run,
    cjson.encode({job = A.job, pages = granted, day = day, ms = now}))
  redis.call('PEXPIRE', K.quota_pages, 2 * DAY_MS)
end
return {granted, left, reserved, DAY_MS - now % DAY_MS}
