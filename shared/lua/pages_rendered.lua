#!lua flags=allow-oom
-- Some pages of a batch are ready, blank, or can't be made: each joins the fair queue, or ends at once.
-- KEYS: job read gaps rendered batches gates batches.requested.dead
-- INCLUDE: base job owner release end_page enqueue
-- A: job run id batch worker pages [{ordinal page image text blank failed}] last attempts
-- A.fail_rest: a reason; all pages of the batch that are not rendered yet end as gaps with it.
-- Answers 'recorded', 'gone' (the job has ended; or the server has lost its last second, and with it the plan),
-- 'not_owner' (a failure was not taken) or 'unfinished' (the last report leaves pages out).
-- Safe to repeat: a page is queued once, whoever rendered it. Only the owner of the entry makes a gap: a zombie's error
-- must not beat a live success. The entry leaves its stream when all pages of its batch are known.

if not is_live(A.run) or redis.call('HEXISTS', K.gates, 'plan') == 0 then
  drop('batches.requested', A.id)
  return 'gone'
end
local found = redis.call('HMGET', K.job, 'batch_size', 'pages', 'weight', 'rev')
local size, pages, weight = tonumber(found[1]), tonumber(found[2]), tonumber(found[3])
local round = found[4] - 1 -- of pages that a retry has rendered again
local refused, owner = false, owns('batches.requested', A.id, A.worker)
if A.fail_rest then
  if not owner then return 'not_owner' end
  bury('batches.requested', A.id, A.worker, A.fail_rest, A.attempts)
  for ordinal = A.batch * size, math.min((A.batch + 1) * size, pages) - 1 do
    A.pages[#A.pages + 1] = {ordinal = ordinal, page = page_of(ordinal), image = '', text = '', blank = false, failed = A.fail_rest}
  end
end

for _, page in ipairs(A.pages) do
  local record = cjson.encode({page = page.page, image = page.image, text = page.text})
  if page.failed ~= '' and not owner then
    refused = refused or redis.call('HEXISTS', K.rendered, page.ordinal) == 0
  elseif redis.call('HSETNX', K.rendered, page.ordinal, record) == 1 then
    page.round = round
    if page.blank then
      redis.call('HSET', K.read, page.ordinal, cjson.encode({page = page.page, blob = '', blank = true}))
      redis.call('HINCRBY', K.job, 'blank', 1)
      end_page(page, 'done', 'read', false)
    elseif page.failed == '' then
      enqueue(page, weight, round)
      redis.call('HINCRBY', K.ready, A.job, 1)
    else
      redis.call('HSET', K.gaps, page.ordinal, cjson.encode({page = page.page, reason = page.failed}))
      end_page(page, 'failed', 'gap', false)
    end
  end
end
local whole = true
for ordinal = A.batch * size, math.min((A.batch + 1) * size, pages) - 1 do
  whole = whole and redis.call('HEXISTS', K.rendered, ordinal) == 1
end
if A.last and whole then drop('batches.requested', A.id) end
release()
return refused and 'not_owner' or A.last and not whole and 'unfinished' or 'recorded'
