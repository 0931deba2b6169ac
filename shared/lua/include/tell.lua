-- KEYS: job read batches pages.analyzed batches.summarized
-- Tells again what a summary waits for.

-- All pages of this batch have ended.
local function tell_batch_read(batch)
  local found = redis.call('HMGET', K.job, 'run', 'batch_size', 'pages', 'rev')
  local ordinal = math.min((batch + 1) * tonumber(found[2]), tonumber(found[3])) - 1
  local outcome = redis.call('HEXISTS', K.read, ordinal) == 1 and 'read' or 'gap'
  append('pages.analyzed', {'job', A.job, 'run', found[1], 'batch', batch, 'ordinal', ordinal, 'page', page_of(ordinal),
    'round', found[4] - 1, 'rev', redis.call('HGET', K.batches, 'rev:' .. batch) or 1, 'outcome', outcome, 'last', 1})
end

-- All batches have their summary, or are known to have none.
local function tell_batches_summarized()
  local found = redis.call('HMGET', K.job, 'run', 'batches', 'rev')
  append('batches.summarized', {'job', A.job, 'run', found[1], 'batch', found[2] - 1, 'rev', found[3], 'last', 1})
end
