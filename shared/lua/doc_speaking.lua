#!lua flags=allow-oom
-- A narration has begun.
-- KEYS: job
-- INCLUDE: base job
-- A: job run
-- Answers 'recorded' or 'gone'. Safe to repeat.

if not is_wanted('doc.summarized', A.run) then return 'gone' end
redis.call('HSET', K.job, 'audio', 'speaking')
return 'recorded'
