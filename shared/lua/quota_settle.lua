#!lua flags=allow-oom
-- So many pages it were: the reservation ends, and they count in the day in which they were reserved.
-- KEYS: quota_pages
-- INCLUDE: base
-- A: run pages
-- Answers the pages used in that day, or nil where nothing was reserved. Safe to repeat.

local found = redis.call('HGET', K.quota_pages, 'r:' .. A.run)
if not found then return nil end
redis.call('HDEL', K.quota_pages, 'r:' .. A.run)
if cjson.decode(found).day ~= tonumber(redis.call('HGET', K.quota_pages, 'day')) then return 0 end
return redis.call('HINCRBY', K.quota_pages, 'used', A.pages)
