#!lua flags=allow-oom
-- Moves what is due and what is next into the streams. Called after each read and every second by the keeper.
-- INCLUDE: base release
-- A: renderers (how many processes render), retention_ms (how long ended jobs are kept, 0: for ever); both optional,
-- told by the keeper
-- Answers nothing. Safe to repeat.

if A.renderers then redis.call('HSET', K.clock, 'renderers', A.renderers) end
if A.retention_ms then redis.call('HSET', K.clock, 'retention_ms', A.retention_ms) end
release()
return nil
