-- KEYS: job tags queue clock pages.requested.bodies pages.requested.deferred
-- A rendered page joins the fair queue, behind its job's other pages and by its job's weight.

local EAGER, EAGER_WEIGHT = 10, 16 -- the first pages of a job: a short document need not wait behind a book

-- page: {ordinal page image text}. Who calls counts it in `ready`, once.
local function enqueue(page, weight, round)
  local unit = A.job .. ':' .. page.ordinal
  local clock = tonumber(redis.call('HGET', K.clock, 'v')) or 0
  local mine = tonumber(redis.call('HGET', K.tags, A.job)) or 0
  local tag = math.max(clock, mine) + 1 / (weight * (page.ordinal < EAGER and EAGER_WEIGHT or 1))
  redis.call('HSET', K.tags, A.job, tag)
  redis.call('ZADD', K.queue, tag, unit)
  redis.call('ZREM', K['pages.requested.deferred'], unit) -- an earlier run's, which shares the body
  local fields = {'job', A.job, 'run', redis.call('HGET', K.job, 'run'), 'ordinal', page.ordinal, 'page', page.page}
  if round > 0 then
    fields[#fields + 1] = 'round'
    fields[#fields + 1] = round
  end
  fields[#fields + 1] = 'image'
  fields[#fields + 1] = page.image
  if page.text ~= '' then
    fields[#fields + 1] = 'text'
    fields[#fields + 1] = page.text
  end
  redis.call('HSET', K['pages.requested.bodies'], unit, cjson.encode(fields))
end
