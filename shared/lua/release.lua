-- Moves what is due and what is next into the streams. Called after each read and every second by the keeper.
-- INCLUDE: base release
-- A: renderers (optional: how many processes render, known to the keeper)
-- Answers nothing. Safe to repeat.

if A.renderers then redis.call('HSET', K.clock, 'renderers', A.renderers) end
release()
return nil
