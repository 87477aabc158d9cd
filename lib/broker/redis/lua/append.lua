-- Orders a publisher's drafts, each once: its numbers grow, and a number that is not new is passed over. A draft that
-- its fence stops gets a place without a message, so that its publisher hears of it.
--
-- KEYS order, meta, lost, latest, from (the publisher's newest number), fences, mail, waiting, done, unread, parts.
-- ARGV the publisher's name; the term it knows of; the ms that its number is kept; the most messages; their age in ms;
-- that of mail; that of runs; then twelve for each draft, '' for none: number, keys (JSON), body, event, id, host, act
-- (JSON), confirm, those of its keys that are mailboxes (JSON), what part of a run it is (JSON), what it says was taken
-- of mailboxes (JSON), fence (JSON).
-- Returns 1; or 0, with nothing done, when that term is over: what the publisher sent before may be lost, and comes
-- first.

local order, meta, lost, latest, newest, fences = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]

-- Ends the wait of a mailbox for a message. A message of `mail` that no mailbox waits for any more is `done`.
local function unwait(id, key)
  local seq = string.match(id, '%d+$')
  if redis.call('ZREM', WAITING, id .. '\n' .. key) == 1 and redis.call('ZCOUNT', WAITING, seq, seq) == 0 then
    if #redis.call('XRANGE', MAIL, id, id) > 0 then redis.call('ZADD', DONE, now(), id) end
  end
end

-- Notes that mail was taken, and that clients were told of lost mail.
local function take(takes)
  for _, each in ipairs(takes.taken) do unwait(each[1], each[2]) end
  for _, each in ipairs(takes.told) do
    -- A client that was told of a loss must not get the message later, out of its order.
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', WAITING, '-inf', each[1])) do
      local id, key = string.match(member, '^([^\n]*)\n(.*)$')
      if key == each[2] then unwait(id, key) end
    end
    for _, host in ipairs({ '', each[3] }) do
      local lost = redis.call('ZSCORE', UNREAD, host .. '\n' .. each[2])
      if lost and tonumber(lost) <= tonumber(each[1]) then redis.call('ZREM', UNREAD, host .. '\n' .. each[2]) end
    end
  end
end

-- Whether a fenced draft is news. Later runs are compared with this one.
local function isNews(text)
  if text == '' then return true end
  local fence = cjson.decode(text)
  local last = redis.call('HGET', fences, fence.name)
  last = last and cjson.decode(last)
  if last and last.run >= fence.run then return false end
  redis.call('HSET', fences, fence.name, text)
  return not last or last.digest ~= fence.digest
end

local term = tonumber(redis.call('HGET', meta, 'term'))
if term ~= tonumber(ARGV[2]) then return 0 end
local last = tonumber(redis.call('GET', newest) or 0)
local time = string.format('%.0f', now())
local count = 0
for i = 8, #ARGV, 12 do
  local number = tonumber(ARGV[i])
  if number > last then
    local entry = { 't', time, 'n', ARGV[1] .. '.' .. ARGV[i] }
    local keys, boxes = {}, {}
    if isNews(ARGV[i + 11]) then
      keys = cjson.decode(ARGV[i + 1])
      if ARGV[i + 8] ~= '' then boxes = cjson.decode(ARGV[i + 8]) end
      for at, name in ipairs({ 'k', 'b', 'e', 'i', 'h', 'a', 'c', 'm', 'r' }) do
        if at <= 2 or ARGV[i + at] ~= '' then
          entry[#entry + 1] = name
          entry[#entry + 1] = ARGV[i + at]
        end
      end
    end
    local seq = redis.call('HINCRBY', meta, 'seq', 1)
    redis.call('XADD', order, place(term, seq), unpack(entry))
    for _, key in ipairs(keys) do redis.call('ZADD', latest, seq, ARGV[i + 5] .. '\n' .. key) end
    for _, key in ipairs(boxes) do redis.call('ZADD', WAITING, seq, place(term, seq) .. '\n' .. key) end
    if ARGV[i + 10] ~= '' then take(cjson.decode(ARGV[i + 10])) end
    last = number
    count = count + 1
  end
end
redis.call('SET', newest, string.format('%.0f', last), 'PX', ARGV[3])
bound(latest, meta, 'unlisted')
trim(order, meta, lost, tonumber(ARGV[4]), tonumber(ARGV[5]), 2 * count + 64)
trimMail(order, meta, lost, tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), 2 * count + 64)
trimRuns(lost, tonumber(ARGV[4]), tonumber(ARGV[7]), 2 * count + 64)
return 1
