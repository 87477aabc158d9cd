/**
 * What Redis does in one step, in Lua, for schedules of several hosts.
 *
 * A lease is a key that lapses by itself; it holds the token of the host that runs the schedule. The hash `runs` holds the
 * newest run of each schedule that began: its number is the time in µs, so that it grows even when Redis has lost
 * everything. The hash `fences` holds the newest run that came to an end, and its result's digest; the script that orders
 * messages reads and writes it, too.
 */

/**
 * Takes a lease that is free, or keeps it, and begins a run.
 *
 * KEYS lease, runs. ARGV the schedule, the host's token, the lease's ms.
 * Returns the run's number; or none, and after how many ms the lease of another one lapses.
 */
export const BEGIN = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[2] then return { false, math.max(redis.call('PTTL', KEYS[1]), 0) + 1 } end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
local time = redis.call('TIME')
local last = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or 0)
local run = string.format('%.0f', math.max(time[1] * 1000000 + time[2], last + 1))
redis.call('HSET', KEYS[2], ARGV[1], run)
return { run, 0 }
`;

/**
 * Keeps leases. KEYS leases. ARGV the host's token, their ms.
 * Returns of each whether the host still has it, 1 or 0.
 */
export const RENEW = `
local kept = {}
for i, lease in ipairs(KEYS) do
  kept[i] = 0
  if redis.call('GET', lease) == ARGV[1] then kept[i] = redis.call('PEXPIRE', lease, ARGV[2]) end
end
return kept
`;

/** Gives leases back. KEYS leases. ARGV the host's token. */
export const RELEASE = `
for _, lease in ipairs(KEYS) do
  if redis.call('GET', lease) == ARGV[1] then redis.call('DEL', lease) end
end
return 1
`;

/**
 * Says whether a result is to be published, 1 or 0; when it is the one that was published last, that was its end.
 *
 * KEYS fences. ARGV the schedule, its run, its digest.
 */
export const JUDGE = `
local last = redis.call('HGET', KEYS[1], ARGV[1])
last = last and cjson.decode(last)
if not last then return 1 end
if last.run >= tonumber(ARGV[2]) then return 0 end
if last.digest ~= ARGV[3] then return 1 end
redis.call('HSET', KEYS[1], ARGV[1], '{"run":' .. ARGV[2] .. ',"digest":"' .. last.digest .. '"}')
return 0
`;
