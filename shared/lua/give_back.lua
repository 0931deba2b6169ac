#!lua flags=allow-oom
-- A worker that stops puts an entry back for anybody, at once, as it found it.
-- KEYS: job
-- INCLUDE: base job owner release
-- A: job run stream id unit worker fields usage
-- Answers 'given_back', 'not_owner' or 'gone'. Safe to repeat.

if not owns(A.stream, A.id, A.worker) then return 'not_owner' end
local answer = 'gone'
if A.stream == 'pages.requested' then drop_page(A.unit, A.id) else drop(A.stream, A.id) end
if is_wanted(A.stream, A.run) then
  add_usage(A.usage)
  local id = append(A.stream, A.fields)
  if A.stream == 'pages.requested' then redis.call('HSET', K.at, A.unit, id) end
  answer = 'given_back'
end
release()
return answer
