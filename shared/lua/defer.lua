#!lua flags=allow-oom
-- An entry leaves its stream until it is due: a retry that waits holds no slot and no lease.
-- KEYS: job deferred bodies
-- INCLUDE: base job owner release
-- A: job run stream id unit worker delay_ms fields usage
-- Answers 'deferred', 'not_owner' or 'gone'. Safe to repeat.

if not owns(A.stream, A.id, A.worker) then return 'not_owner' end
local answer = 'gone'
if is_wanted(A.stream, A.run) then
  add_usage(A.usage)
  redis.call('HSET', K.bodies, A.unit, cjson.encode(A.fields))
  redis.call('ZADD', K.deferred, now_ms() + A.delay_ms, A.unit)
  answer = 'deferred'
end
if A.stream == 'pages.requested' then drop_page(A.unit, A.id) else drop(A.stream, A.id) end
release()
return answer
