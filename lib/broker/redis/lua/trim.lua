-- The functions of scripts that trim, after the prelude: they let go of the oldest messages, and note by key what is
-- lost.
--
-- The last five KEYS of such a script are `mail`, `waiting`, `done`, `unread` and `parts`.
-- Each call drops at most `budget` entries, so that no script keeps Redis busy for long.

-- The most notes of a sorted set.
local MAX_KEYS = 16384
-- The most waits of all mailboxes.
local MAX_WAITING = 262144

local MAIL, WAITING, DONE, UNREAD, PARTS = unpack(KEYS, #KEYS - 4)

-- Bounds a sorted set of notes; `field` of `meta` says up to which seq notes were dropped.
local function bound(set, meta, field)
  local surplus = redis.call('ZCARD', set) - MAX_KEYS
  if surplus <= 0 then return end
  local dropped = redis.call('ZPOPMIN', set, surplus)
  redis.call('HSET', meta, field, dropped[#dropped])
end

-- Notes the newest seq of a member.
local function note(set, seq, member)
  local known = redis.call('ZSCORE', set, member)
  if not known or tonumber(known) < seq then redis.call('ZADD', set, seq, member) end
end

-- Keeps an entry that leaves the order, if a mailbox waits for it or it is of a run. Returns whether it is kept: it is
-- not when Redis refuses it, as for want of memory.
local function archive(entry, fields, seq)
  if fields.r then return not redis.pcall('XADD', PARTS, entry[1], unpack(entry[2])).err end
  if not fields.m or redis.call('ZCOUNT', WAITING, seq, seq) == 0 then return false end
  return not redis.pcall('XADD', MAIL, entry[1], unpack(entry[2])).err
end

-- Lets go of an entry of `mail`: the mailboxes that still wait for it have lost it unread, which is noted to be told.
local function drop(entry, lost, meta)
  local fields = fieldsOf(entry)
  local seq = tonumber(string.match(entry[1], '%d+$'))
  for _, key in ipairs(cjson.decode(fields.m)) do note(lost, seq, (fields.h or '') .. '\n' .. key) end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', WAITING, seq, seq)) do
    note(UNREAD, seq, (fields.h or '') .. '\n' .. string.match(member, '^[^\n]*\n(.*)$'))
  end
  redis.call('ZREMRANGEBYSCORE', WAITING, seq, seq)
  redis.call('XDEL', MAIL, entry[1])
  redis.call('ZREM', DONE, entry[1])
end

-- Lets go of mail that is too much, too old, or has been taken for long.
local function trimMail(order, meta, lost, max, age, mailAge, budget)
  -- A process without mailboxes leaves those of others as they are.
  if mailAge == 0 then return end
  local excess = redis.call('XLEN', MAIL) - max
  for _, entry in ipairs(redis.call('XRANGE', MAIL, '-', '+', 'COUNT', budget)) do
    local fields = fieldsOf(entry)
    if excess <= 0 and tonumber(fields.t) >= now() - mailAge then break end
    if excess > 0 then redis.call('HSET', meta, 'mailEvicted', tonumber(string.match(entry[1], '%d+$'))) end
    excess = excess - 1
    drop(entry, lost, meta)
  end
  -- Mail that was taken is kept as long as any message: a client that lost it on the way comes back for it.
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', DONE, '-inf', now() - age, 'LIMIT', 0, budget)) do
    local entry = redis.call('XRANGE', MAIL, id, id)[1]
    if entry then drop(entry, lost, meta) else redis.call('ZREM', DONE, id) end
  end
  -- Waits for messages older than all of `mail` and `order` wait in vain: others have deleted the messages.
  local oldest = redis.call('XRANGE', MAIL, '-', '+', 'COUNT', 1)[1]
    or redis.call('XRANGE', order, '-', '+', 'COUNT', 1)[1]
  if oldest then redis.call('ZREMRANGEBYSCORE', WAITING, '-inf', '(' .. string.match(oldest[1], '%d+$')) end
  local surplus = redis.call('ZCARD', WAITING) - MAX_WAITING
  if surplus > 0 then
    for i, member in ipairs(redis.call('ZRANGE', WAITING, 0, surplus - 1)) do
      local seq, key = string.match(member, '^%d+%-(%d+)\n(.*)$')
      note(UNREAD, tonumber(seq), '\n' .. key)
    end
    redis.call('ZREMRANGEBYRANK', WAITING, 0, surplus - 1)
  end
  bound(UNREAD, meta, 'mailForgotten')
end

-- Lets go of parts of runs that are too many or too old.
local function trimRuns(lost, max, age, budget)
  -- A process without runs leaves those of others as they are.
  if age == 0 then return end
  local excess = redis.call('XLEN', PARTS) - max
  local gone = {}
  for _, entry in ipairs(redis.call('XRANGE', PARTS, '-', '+', 'COUNT', budget)) do
    local fields = fieldsOf(entry)
    if excess <= 0 and tonumber(fields.t) >= now() - age then break end
    excess = excess - 1
    gone[#gone + 1] = entry[1]
    local seq = tonumber(string.match(entry[1], '%d+$'))
    for _, key in ipairs(cjson.decode(fields.k)) do note(lost, seq, (fields.h or '') .. '\n' .. key) end
  end
  if #gone > 0 then redis.call('XDEL', PARTS, unpack(gone)) end
end

-- Lets go of messages that are too many or too old, and archives those that are still needed.
local function trim(order, meta, lost, max, age, budget)
  local horizon = now() - age
  local excess = redis.call('XLEN', order) - max
  local trimmed, evicted
  while budget > 0 do
    local oldest = redis.call('XRANGE', order, '-', '+', 'COUNT', math.min(math.max(excess, 4), budget, 256))
    local gone = {}
    for _, entry in ipairs(oldest) do
      local fields = fieldsOf(entry)
      if excess <= 0 and tonumber(fields.t) >= horizon then break end
      local seq = tonumber(string.match(entry[1], '%d+$'))
      local isArchived = archive(entry, fields, seq)
      local mailboxes = {}
      if isArchived then for _, key in ipairs(cjson.decode(fields.m or fields.k)) do mailboxes[key] = true end end
      if fields.k then
        for _, key in ipairs(cjson.decode(fields.k)) do
          if not mailboxes[key] then note(lost, seq, (fields.h or '') .. '\n' .. key) end
        end
      end
      if excess > 0 then evicted = seq end
      trimmed = seq
      excess = excess - 1
      gone[#gone + 1] = entry[1]
    end
    if #gone == 0 then break end
    redis.call('XDEL', order, unpack(gone))
    budget = budget - #gone
    if #gone < #oldest then break end
  end
  if trimmed then redis.call('HSET', meta, 'trimmed', trimmed) end
  if evicted then redis.call('HSET', meta, 'evicted', evicted) end
  bound(lost, meta, 'forgotten')
end
