-- Keeps leases.
--
-- KEYS the leases.
-- ARGV the host's token; the leases' ms.
-- Returns of each lease whether the host still has it, 1 or 0.

local kept = {}
for i, lease in ipairs(KEYS) do
  kept[i] = 0
  if redis.call('GET', lease) == ARGV[1] then kept[i] = redis.call('PEXPIRE', lease, ARGV[2]) end
end
return kept
