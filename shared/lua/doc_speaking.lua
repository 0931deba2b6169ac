#!lua flags=allow-oom
-- A narration has begun.
-- KEYS: job doc.summarized
-- INCLUDE: base job
-- A: job run id
-- Answers 'recorded' or 'gone'. Safe to repeat.

if not is_wanted('doc.summarized', A.run) then
  drop('doc.summarized', A.id)
  return 'gone'
end
redis.call('HSET', K.job, 'audio', 'speaking')
return 'recorded'
