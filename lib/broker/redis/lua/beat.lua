-- A worker says that it lives; messages that are too old go.
--
-- KEYS order, meta, lost, workers, mail, waiting, done, unread, parts.
-- ARGV the worker's name; the most messages; their age in ms; that of mail; that of runs.
-- Returns 1.

local BUDGET = 512
local FORGOTTEN_MS = 60000
local order, meta, lost, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local worker = ARGV[1]
local max, age, mailAge, runAge = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

-- Commands that only free memory come first: a full Redis runs them, and refuses no command of a script after them.
redis.call('ZREMRANGEBYSCORE', workers, '-inf', now() - FORGOTTEN_MS)
trim(order, meta, lost, max, age, BUDGET)
trimMail(order, meta, lost, max, age, mailAge, BUDGET)
trimRuns(lost, max, runAge, BUDGET)
redis.call('ZADD', workers, now(), worker)
return 1
