-- Asks all workers that live.
--
-- KEYS workers, questions.
-- ARGV the question (JSON); for how many ms a worker lives without a word.
-- Returns the workers' names.

redis.call('XADD', KEYS[2], 'MAXLEN', '~', 256, '*', 'q', ARGV[1])
return redis.call('ZRANGEBYSCORE', KEYS[1], now() - ARGV[2], '+inf')
