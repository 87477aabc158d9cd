-- Says whether a result is to be published; a result that equals the one published last is not, and its run ends here.
--
-- KEYS fences.
-- ARGV the schedule; its run; its digest.
-- Returns 1 or 0.

local last = redis.call('HGET', KEYS[1], ARGV[1])
last = last and cjson.decode(last)
if not last then return 1 end
if last.run >= tonumber(ARGV[2]) then return 0 end
if last.digest ~= ARGV[3] then return 1 end
redis.call('HSET', KEYS[1], ARGV[1], '{"run":' .. ARGV[2] .. ',"digest":"' .. last.digest .. '"}')
return 0
