-- Some pages of a batch are ready, blank, or can't be made: each joins the fair queue, or ends at once.
-- KEYS: job read gaps rendered batches tags batches.requested.dead
-- INCLUDE: base job owner release end_page
-- A: job run id batch worker pages [{ordinal page image text blank failed}] last attempts
-- A.fail_rest: a reason; all pages of the batch that are not rendered yet end as gaps with it.
-- Answers 'recorded', 'gone' or 'not_owner'. Safe to repeat: a page is queued once, whoever rendered it.

local EAGER, EAGER_WEIGHT = 10, 16 -- the first pages of a job: a short document need not wait behind a book

if not is_live(A.run) then
  drop('batches.requested', A.id)
  return 'gone'
end
local found = redis.call('HMGET', K.job, 'batch_size', 'pages', 'weight')
local size, pages, weight = tonumber(found[1]), tonumber(found[2]), tonumber(found[3])
if A.fail_rest then
  if not owns('batches.requested', A.id, A.worker) then return 'not_owner' end
  bury('batches.requested', A.id, A.worker, A.fail_rest, A.attempts)
  for ordinal = A.batch * size, math.min((A.batch + 1) * size, pages) - 1 do
    A.pages[#A.pages + 1] = {ordinal = ordinal, page = page_of(ordinal), image = '', text = '', blank = false, failed = A.fail_rest}
  end
end

local function enqueue(page)
  local unit = A.job .. ':' .. page.ordinal
  local clock = tonumber(redis.call('HGET', K.clock, 'v')) or 0
  local mine = tonumber(redis.call('HGET', K.tags, A.job)) or 0
  local tag = math.max(clock, mine) + 1 / (weight * (page.ordinal < EAGER and EAGER_WEIGHT or 1))
  redis.call('HSET', K.tags, A.job, tag)
  redis.call('ZADD', K.queue, tag, unit)
  local fields = {'job', A.job, 'run', A.run, 'ordinal', page.ordinal, 'page', page.page, 'image', page.image}
  if page.text ~= '' then
    fields[#fields + 1] = 'text'
    fields[#fields + 1] = page.text
  end
  redis.call('HSET', K['pages.requested.bodies'], unit, cjson.encode(fields))
  redis.call('HINCRBY', K.ready, A.job, 1)
end

for _, page in ipairs(A.pages) do
  local record = cjson.encode({page = page.page, image = page.image, text = page.text})
  if redis.call('HSETNX', K.rendered, page.ordinal, record) == 1 then
    if page.blank then
      redis.call('HSET', K.read, page.ordinal, cjson.encode({page = page.page, blob = '', blank = true}))
      redis.call('HINCRBY', K.job, 'blank', 1)
      end_page(page, 'done', 'read', false)
    elseif page.failed == '' then
      enqueue(page)
    else
      redis.call('HSET', K.gaps, page.ordinal, cjson.encode({page = page.page, reason = page.failed}))
      end_page(page, 'failed', 'gap', false)
    end
  end
end
if A.last then drop('batches.requested', A.id) end
release()
return 'recorded'
