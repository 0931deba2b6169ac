-- KEYS: job batches ready clock pages.analyzed
-- A page has ended, read or as a gap: counted once, told once.

-- counter: the field of the job that grows. queued: whether the page had been in the queue.
local function end_page(page, counter, outcome, queued)
  local found = redis.call('HMGET', K.job, 'batch_size', 'pages')
  local size, pages = tonumber(found[1]), tonumber(found[2])
  local batch = math.floor(page.ordinal / size)
  local ended = redis.call('HINCRBY', K.batches, 'ended:' .. batch, 1)
  local last = ended == math.min(size, pages - batch * size)
  redis.call('HINCRBY', K.job, counter, 1)
  if queued and redis.call('HINCRBY', K.ready, A.job, -1) <= 0 then redis.call('HDEL', K.ready, A.job) end

  local now = now_ms()
  redis.call('HSET', K.clock, 'rate', finishing_rate(now) + 1000 / RATE_MEMORY_MS, 'rate_ms', now)

  local counts = redis.call('HMGET', K.job, 'done', 'failed')
  if (tonumber(counts[1]) or 0) + (tonumber(counts[2]) or 0) == pages then
    redis.call('HSET', K.job, 'status', 'summarizing')
  end

  local fields = {
    'job', A.job, 'run', A.run, 'batch', batch, 'ordinal', page.ordinal, 'page', page.page,
    'round', page.round or 0, 'rev', redis.call('HGET', K.batches, 'rev:' .. batch) or 1, 'outcome', outcome,
  }
  if last then
    fields[#fields + 1] = 'last'
    fields[#fields + 1] = 1
  end
  append('pages.analyzed', fields)
end
