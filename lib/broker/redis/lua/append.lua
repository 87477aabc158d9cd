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

local order, meta, lost, latest, from, fences = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local publisher, known, keptMs = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local max, age, mailAge, runAge = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
-- The drafts' ARGV begin after those.
local FIRST, LENGTH = 8, 12
-- The fields of an entry, in the order in which they follow a draft's number. An entry has those that are not ''.
local FIELDS = { 'k', 'b', 'e', 'i', 'h', 'a', 'c', 'm', 'r' }

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
if term ~= known then return 0 end
local last = tonumber(redis.call('GET', from) or 0)
local time = string.format('%.0f', now())
local count = 0
for i = FIRST, #ARGV, LENGTH do
  local number, keys, _, _, _, host, _, _, mailboxes, _, taken, fence = unpack(ARGV, i, i + LENGTH - 1)
  if tonumber(number) > last then
    local entry = { 't', time, 'n', publisher .. '.' .. number }
    local noted, waiting = {}, {}
    if isNews(fence) then
      noted = cjson.decode(keys)
      if mailboxes ~= '' then waiting = cjson.decode(mailboxes) end
      for at, name in ipairs(FIELDS) do
        -- An empty body is a body: it makes an entry a message.
        if name == 'b' or ARGV[i + at] ~= '' then
          entry[#entry + 1] = name
          entry[#entry + 1] = ARGV[i + at]
        end
      end
    end
    local seq = redis.call('HINCRBY', meta, 'seq', 1)
    local id = place(term, seq)
    redis.call('XADD', order, id, unpack(entry))
    for _, key in ipairs(noted) do redis.call('ZADD', latest, seq, host .. '\n' .. key) end
    for _, key in ipairs(waiting) do redis.call('ZADD', WAITING, seq, id .. '\n' .. key) end
    if taken ~= '' then take(cjson.decode(taken)) end
    last = tonumber(number)
    count = count + 1
  end
end
redis.call('SET', from, string.format('%.0f', last), 'PX', keptMs)
bound(latest, meta, 'unlisted')
trim(order, meta, lost, max, age, 2 * count + 64)
trimMail(order, meta, lost, max, age, mailAge, 2 * count + 64)
trimRuns(lost, max, runAge, 2 * count + 64)
return 1
