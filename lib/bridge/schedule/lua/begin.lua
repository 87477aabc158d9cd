-- Takes a lease that is free, or keeps it, and begins a run.
--
-- KEYS lease, runs.
-- ARGV the schedule; the host's token; the lease's ms.
-- Returns the run's number and 0; or none, and after how many ms the lease of another host lapses.

local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[2] then return { false, math.max(redis.call('PTTL', KEYS[1]), 0) + 1 } end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
local time = redis.call('TIME')
local last = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0)
local run = string.format('%.0f', math.max(time[1] * 1000000 + time[2], last + 1))
redis.call('HSET', KEYS[2], ARGV[1], run)
return { run, 0 }
