-- KEYS: doc.submitted doc.submitted.deferred doc.submitted.bodies batches.requested batches.requested.deferred
-- KEYS: batches.requested.bodies pages.requested pages.requested.deferred pages.requested.bodies pages.analyzed
-- KEYS: pages.analyzed.deferred pages.analyzed.bodies batches.summarized batches.summarized.deferred
-- KEYS: batches.summarized.bodies doc.summarized doc.summarized.deferred doc.summarized.bodies queue at ready batches_queue batches_bodies clock started
-- Fair release: what is due and what is next moves into the streams, while little enough waits there.

local RATE_MEMORY_MS = 5000 -- the finishing rate forgets at this pace
local FEWEST, MOST = 4, 64  -- pages that may wait in the stream: never idle, never a long line before a newcomer
local AHEAD = 64            -- pages that rendering may run ahead where nothing is in flight yet
local LOOK = 64             -- jobs looked at a call

local function in_hand(stream)
  local summary = redis.pcall('XPENDING', K[stream], GROUP[stream])
  return summary.err and 0 or summary[1] -- no group yet: nobody has read
end

local function waiting(stream)
  return redis.call('XLEN', K[stream]) - in_hand(stream)
end

local function finishing_rate(now)
  local clock = redis.call('HMGET', K.clock, 'rate', 'rate_ms')
  return (tonumber(clock[1]) or 0) * math.exp(((tonumber(clock[2]) or now) - now) / RATE_MEMORY_MS)
end

local function put_back(stream, unit)
  local body = redis.call('HGET', K[stream .. '.bodies'], unit)
  if not body then return nil end
  redis.call('HDEL', K[stream .. '.bodies'], unit)
  return append(stream, cjson.decode(body))
end

-- An entry of pages.requested leaves it, wanted or not. `at` may name another one meanwhile: of another run, or given back.
local function drop_page(unit, id)
  if redis.call('HGET', K.at, unit) == id then redis.call('HDEL', K.at, unit) end
  drop('pages.requested', id)
end

-- Deferred entries whose time has come return to their stream. Answers how many.
local function promote(stream, most, now)
  local due = redis.call('ZRANGEBYSCORE', K[stream .. '.deferred'], '-inf', now, 'LIMIT', 0, most)
  for _, unit in ipairs(due) do
    redis.call('ZREM', K[stream .. '.deferred'], unit)
    local id = put_back(stream, unit)
    if id and stream == 'pages.requested' then redis.call('HSET', K.at, unit, id) end
  end
  return #due
end

local function release_pages(now)
  local window = math.max(FEWEST, math.min(MOST, math.floor(finishing_rate(now) / 2)))
  local room = window - waiting('pages.requested')
  if room <= 0 then return end
  room = room - promote('pages.requested', room, now)
  if room <= 0 then return end
  local head = redis.call('ZRANGE', K.queue, 0, room - 1, 'WITHSCORES')
  for i = 1, #head, 2 do
    local unit = head[i]
    redis.call('ZREM', K.queue, unit)
    local id = put_back('pages.requested', unit)
    if id then
      redis.call('HSET', K.at, unit, id)
      redis.call('HSETNX', K.started, unit:match('^(.*):'), now)
    end
    redis.call('HSET', K.clock, 'v', head[i + 1])
  end
end

-- Rendering takes turns among the jobs whose pages are not too far ahead of the readers.
local function release_batches(now)
  local renderers = tonumber(redis.call('HGET', K.clock, 'renderers')) or 1
  local room = renderers + 1 - waiting('batches.requested')
  if room <= 0 then return end
  room = room - promote('batches.requested', room, now)
  local jobs = redis.call('ZCARD', K.batches_queue)
  if jobs == 0 then return end
  local share = 2 * math.max(AHEAD, in_hand('pages.requested')) / jobs
  local gave = true
  while room > 0 and gave do
    gave = false
    local ring = redis.call('ZRANGE', K.batches_queue, 0, LOOK - 1, 'WITHSCORES')
    for i = 1, #ring, 2 do
      local job, tag = ring[i], tonumber(ring[i + 1])
      local body = redis.call('HGET', K.batches_bodies, job)
      local plan = body and cjson.decode(body)
      local unread = tonumber(redis.call('HGET', K.ready, job)) or 0
      if not plan then
        redis.call('ZREM', K.batches_queue, job) -- a turn that stands for nothing must not stop the others'
      elseif room > 0 and unread < plan.size + share then
        local batch = plan.next
        if plan.todo then -- batches that are asked again, one by one; then the others in order
          batch = table.remove(plan.todo, 1)
          if #plan.todo == 0 then plan.todo = nil end
        else
          plan.next = plan.next + 1
        end
        append('batches.requested', {'job', job, 'run', plan.run, 'batch', batch})
        redis.call('HSET', K.clock, 'vb', tag)
        if not plan.todo and plan.next > plan.last then
          redis.call('ZREM', K.batches_queue, job)
          redis.call('HDEL', K.batches_bodies, job)
        else
          redis.call('ZADD', K.batches_queue, tag + 1 / plan.weight, job)
          redis.call('HSET', K.batches_bodies, job, cjson.encode(plan))
        end
        room, gave = room - 1, true
      end
    end
  end
end

local function release()
  local now = now_ms()
  promote('doc.submitted', LOOK, now)
  promote('pages.analyzed', LOOK, now)
  promote('batches.summarized', LOOK, now)
  promote('doc.summarized', LOOK, now)
  release_pages(now)
  release_batches(now)
end
