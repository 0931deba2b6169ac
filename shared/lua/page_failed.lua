#!lua flags=allow-oom
-- A page can't be read: a named gap, and a dead letter.
-- KEYS: job read gaps batches pages.requested.dead
-- INCLUDE: base job owner release end_page
-- A: job run id unit ordinal page round worker reason attempts usage
-- Answers 'recorded', 'duplicate', 'not_owner' or 'gone'. Safe to repeat. Only the owner of the page's current entry
-- may fail it: a zombie's error must not beat a live success.

if not is_live(A.run) then
  drop_page(A.unit, A.id)
  return 'gone'
end
if not owns('pages.requested', A.id, A.worker) or redis.call('HGET', K.at, A.unit) ~= A.id then return 'not_owner' end
local answer = 'duplicate'
if redis.call('HEXISTS', K.read, A.ordinal) == 0
  and redis.call('HSETNX', K.gaps, A.ordinal, cjson.encode({page = A.page, reason = A.reason})) == 1 then
  bury('pages.requested', A.id, A.worker, A.reason, A.attempts)
  add_usage(A.usage)
  end_page({ordinal = A.ordinal, page = A.page, round = A.round}, 'failed', 'gap', true)
  answer = 'recorded'
end
redis.call('HDEL', K.at, A.unit)
drop('pages.requested', A.id)
release()
return answer
