-- Asks all workers that live.
--
-- KEYS workers, questions.
-- ARGV the question (JSON); for how many ms a worker lives without a word.
-- Returns the workers' names.

local workers, questions = KEYS[1], KEYS[2]
local question, aliveMs = ARGV[1], ARGV[2]
redis.call('XADD', questions, 'MAXLEN', '~', 256, '*', 'q', question)
return redis.call('ZRANGEBYSCORE', workers, now() - aliveMs, '+inf')
