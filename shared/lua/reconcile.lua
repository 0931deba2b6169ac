#!lua flags=allow-oom
-- Puts back what an open job needs and nothing holds: a page, a batch to be rendered, or the fact that a summary or the
-- plan waits for. Whatever waits, is deferred or in somebody's hands is left alone.
-- KEYS: job read gaps rendered batches gates at
-- INCLUDE: base job release enqueue ring tell held forget
-- A: job first: the ordinal from which on pages are looked at, 500 a call
-- Answers {the next `first`, -1 after the last page, {what, how many, ...}}. Safe to repeat: what was put back is there.

local WINDOW = 500

local found = redis.call('HMGET', K.job, 'status', 'run', 'rev', 'pages', 'batch_size', 'batches', 'batches_done',
  'batches_failed', 'weight', 'done', 'failed')
local run, rev, pages, size = found[2], tonumber(found[3]), tonumber(found[4]), tonumber(found[5])
if not run then -- its keys are gone: nothing keeps a turn for it
  forget_job()
  return {-1, {}}
elseif ENDED[found[1]] then
  redis.call('ZREM', K.active, A.job)
  return {-1, {}}
end
if redis.call('HEXISTS', K.gates, 'plan') == 0 then
  local told = held('doc.submitted', run, true)
  if not told or #told > 0 then return {-1, {}} end
  append('doc.submitted', {'job', A.job, 'run', run})
  return {-1, {'plan', 1}}
end

local last = math.min(A.first + WINDOW, pages) - 1
local ordinals, units = {}, {}
for ordinal = A.first, last do
  ordinals[#ordinals + 1] = ordinal
  units[#units + 1] = A.job .. ':' .. ordinal
end
local read, gaps = redis.call('HMGET', K.read, unpack(ordinals)), redis.call('HMGET', K.gaps, unpack(ordinals))
local rendered, at = redis.call('HMGET', K.rendered, unpack(ordinals)), redis.call('HMGET', K.at, unpack(units))
local bodies = redis.call('HMGET', K['pages.requested.bodies'], unpack(units))
local queued = redis.call('ZMSCORE', K.queue, unpack(units))
local deferred = redis.call('ZMSCORE', K['pages.requested.deferred'], unpack(units))
local lost, unrendered = {}, {}
for i, ordinal in ipairs(ordinals) do
  if not read[i] and not gaps[i] then
    if not rendered[i] then
      unrendered[math.floor(ordinal / size)] = true
    elseif not (bodies[i] and (queued[i] or deferred[i]))
      and not (at[i] and #redis.call('XRANGE', K['pages.requested'], at[i], at[i]) > 0) then
      lost[#lost + 1] = i
    end
  end
end
local unread = {}
for batch = math.floor(A.first / size), math.floor(last / size) do
  local first, final = batch * size, math.min((batch + 1) * size, pages) - 1
  if final <= last then
    local known = redis.call('HMGET', K.batches, 'ended:' .. batch, 'summary:' .. batch)
    if tonumber(known[1]) == final - first + 1 and not known[2] then unread[batch] = true end
  end
end

-- Lost pages: their images are there.
local pages_back = 0
local in_stream = #lost > 0 and held('pages.requested', run, false)
if in_stream then
  local entry_of = {}
  for _, fact in ipairs(in_stream) do entry_of[tonumber(fact.ordinal)] = fact.id end
  for _, i in ipairs(lost) do
    redis.call('ZREM', K.queue, units[i])
    redis.call('ZREM', K['pages.requested.deferred'], units[i])
    if entry_of[ordinals[i]] then
      redis.call('HSET', K.at, units[i], entry_of[ordinals[i]])
    else
      redis.call('HDEL', K.at, units[i])
      local page = cjson.decode(rendered[i])
      page.ordinal = ordinals[i]
      enqueue(page, tonumber(found[9]), rev - 1)
    end
    pages_back = pages_back + 1
  end
end

-- The batches of this set that no fact and no turn stands for, in order.
local function forgotten(batches, facts)
  for _, fact in ipairs(facts) do batches[tonumber(fact.batch)] = nil end
  local rest = {}
  for batch in pairs(batches) do rest[#rest + 1] = batch end
  table.sort(rest)
  return rest
end

local requests_back, in_requests = {}, next(unrendered) and held('batches.requested', run, true)
if in_requests then
  if redis.call('ZSCORE', K.batches_queue, A.job) then
    local plan = ring()
    for batch in pairs(unrendered) do
      if batch >= plan.next and batch <= plan.last then unrendered[batch] = nil end
    end
    for _, batch in ipairs(plan.todo or {}) do unrendered[batch] = nil end
  else
    redis.call('HDEL', K.batches_bodies, A.job) -- without its turn it stands for nothing
  end
  requests_back = forgotten(unrendered, in_requests)
  if #requests_back > 0 then request_batches(requests_back) end
end

local told_back, in_told = {}, next(unread) and held('pages.analyzed', run, true)
if in_told then
  told_back = forgotten(unread, in_told)
  for _, batch in ipairs(told_back) do tell_batch_read(batch) end
end

local summary_back = 0
if last == pages - 1 and (tonumber(found[7]) or 0) + (tonumber(found[8]) or 0) == tonumber(found[6]) then
  local told = held('batches.summarized', run, true)
  if told and #told == 0 then
    tell_batches_summarized()
    summary_back = 1
  end
end

-- How far rendering is ahead: a figure too high would hold the job's rendering up for ever.
local ahead = redis.call('HLEN', K.rendered) - (tonumber(found[10]) or 0) - (tonumber(found[11]) or 0)
local ready_back = 0
if ahead ~= (tonumber(redis.call('HGET', K.ready, A.job)) or 0) then
  if ahead > 0 then redis.call('HSET', K.ready, A.job, ahead) else redis.call('HDEL', K.ready, A.job) end
  ready_back = 1
end

if pages_back + #requests_back + #told_back + summary_back + ready_back > 0 then release() end
return {last + 1 < pages and last + 1 or -1, {'page', pages_back, 'rendering', #requests_back, 'batch summary',
  #told_back, 'summary', summary_back, 'count', ready_back}}
