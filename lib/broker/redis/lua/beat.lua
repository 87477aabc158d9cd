-- A worker says that it lives; messages that are too old go.
--
-- KEYS order, meta, lost, workers, mail, waiting, done, unread, parts.
-- ARGV the worker's name; the most messages; their age in ms; that of mail; that of runs.
-- Returns 1.

-- Commands that only free memory come first: a full Redis runs them, and refuses no command of a script after them.
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now() - 60000)
trim(KEYS[1], KEYS[2], KEYS[3], tonumber(ARGV[2]), tonumber(ARGV[3]), 512)
trimMail(KEYS[1], KEYS[2], KEYS[3], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), 512)
trimRuns(KEYS[3], tonumber(ARGV[2]), tonumber(ARGV[5]), 512)
redis.call('ZADD', KEYS[4], now(), ARGV[1])
return 1
