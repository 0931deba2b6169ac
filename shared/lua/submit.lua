#!lua
-- Creates a job, once, and tells that it was submitted.
-- KEYS: job read gaps rendered batches gates active doc.submitted
-- INCLUDE: base forget
-- A: job run rev kind source fingerprint user batch_size whole_up_to selection narrate pages max_pages weight
-- Answers {run, created 0|1, same 0|1}. Safe to repeat: the first submission stands. It writes even on a repeat, so
-- that a wait for the disk after it covers the first writing too. A server without memory left refuses it whole.

local known = redis.call('HMGET', K.job, 'run', 'fingerprint')
if known[1] then
  redis.call('HSET', K.job, 'seen_ms', now_ms())
  return {known[1], 0, known[2] == A.fingerprint and 1 or 0}
end
-- What an earlier run has left, where its keys did not all go at once: its gates would keep this one from beginning.
redis.call('DEL', K.read, K.gaps, K.rendered, K.batches, K.gates)
forget_job()
local now = now_ms()
redis.call('HSET', K.job, 'run', A.run, 'rev', 1, 'status', 'queued', 'kind', A.kind, 'source', A.source,
  'fingerprint', A.fingerprint, 'user', A.user, 'batch_size', A.batch_size, 'whole_up_to', A.whole_up_to, 'pages', A.pages, 'weight', A.weight,
  'max_pages', A.max_pages, 'selection', A.selection, 'narrate', A.narrate and 1 or 0,
  'created_ms', now)
redis.call('ZADD', K.active, now, A.job)
append('doc.submitted', {'job', A.job, 'run', A.run})
return {A.run, 1, 1}
