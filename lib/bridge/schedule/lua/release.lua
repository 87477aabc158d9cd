-- Gives leases back.
--
-- KEYS the leases.
-- ARGV the host's token.
-- Returns 1.

for _, lease in ipairs(KEYS) do
  if redis.call('GET', lease) == ARGV[1] then redis.call('DEL', lease) end
end
return 1
