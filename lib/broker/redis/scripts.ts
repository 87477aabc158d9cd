/**
 * What Redis does in one step, in Lua (https://redis.io/docs/latest/develop/programmability/eval-intro/).
 *
 * The order is a stream; an entry's id is its place, `<term>-<seq>`. `seq` counts on for as long as the store lives;
 * `term` names the epoch and grows: a new one begins whenever another server process answers, since nobody knows what
 * the last one lost when it died. The hash `meta` holds the present term and seq, the server's `run`, the `epochs` there
 * were, and how far messages were `trimmed`, and of those, `evicted`. Two sorted sets hold places by key: `lost` the
 * newest that was trimmed, `latest` the newest that was given, which tells what may be missing when others than these
 * scripts took messages away. What they have dropped themselves reached up to `forgotten` and `unlisted`.
 *
 * What leaves the order while a mailbox waits for it goes to the stream `mail`, with the same id. The sorted set `waiting`
 * has `<id>\n<key>` for each mailbox that waits for a message, of the order or held, by its seq; `done` the ids of held
 * ones that none waits for any more, by when they were taken; `unread` by mailbox the newest seq that was let go of before
 * anyone took it, of which those up to `mailEvicted` were too many. What leaves the order and is of a run goes to the
 * stream `parts`, with the same id.
 */
const HEAD = `
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function fieldsOf(entry)
  local fields = {}
  for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
  return fields
end
local function place(term, seq) return string.format('%.0f-%.0f', term, seq) end
`;

const TRIM = `
local MAX_KEYS = 16384
local MAX_WAITING = 262144
local MAIL, WAITING, DONE, UNREAD, PARTS = unpack(KEYS, #KEYS - 4)
local function bound(set, meta, field)
  local surplus = redis.call('ZCARD', set) - MAX_KEYS
  if surplus <= 0 then return end
  local dropped = redis.call('ZPOPMIN', set, surplus)
  redis.call('HSET', meta, field, dropped[#dropped])
end
local function note(set, seq, member)
  local known = redis.call('ZSCORE', set, member)
  if not known or tonumber(known) < seq then redis.call('ZADD', set, seq, member) end
end
-- Keeps an entry that leaves the order, if a mailbox waits for it or it is of a run.
local function hold(entry, fields, seq)
  if fields.r then return not redis.pcall('XADD', PARTS, entry[1], unpack(entry[2])).err end
  if not fields.m or redis.call('ZCOUNT', WAITING, seq, seq) == 0 then return false end
  return not redis.pcall('XADD', MAIL, entry[1], unpack(entry[2])).err
end
-- Gives up an entry that mailboxes kept; those that still wait for it are told, one day.
local function drop(entry, lost, meta)
  local fields = fieldsOf(entry)
  local seq = tonumber(string.match(entry[1], '%d+$'))
  for _, key in ipairs(cjson.decode(fields.m)) do note(lost, seq, (fields.h or '') .. '\\n' .. key) end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', WAITING, seq, seq)) do
    note(UNREAD, seq, (fields.h or '') .. '\\n' .. string.match(member, '^[^\\n]*\\n(.*)$'))
  end
  redis.call('ZREMRANGEBYSCORE', WAITING, seq, seq)
  redis.call('XDEL', MAIL, entry[1])
  redis.call('ZREM', DONE, entry[1])
end
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
  -- What was taken is kept for a while, for those who lost it on the way.
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', DONE, '-inf', now() - age, 'LIMIT', 0, budget)) do
    local entry = redis.call('XRANGE', MAIL, id, id)[1]
    if entry then drop(entry, lost, meta) else redis.call('ZREM', DONE, id) end
  end
  -- What waits is in the order or held; others may have taken it away.
  local oldest = redis.call('XRANGE', MAIL, '-', '+', 'COUNT', 1)[1] or redis.call('XRANGE', order, '-', '+', 'COUNT', 1)[1]
  if oldest then redis.call('ZREMRANGEBYSCORE', WAITING, '-inf', '(' .. string.match(oldest[1], '%d+$')) end
  local surplus = redis.call('ZCARD', WAITING) - MAX_WAITING
  if surplus > 0 then
    for i, member in ipairs(redis.call('ZRANGE', WAITING, 0, surplus - 1)) do
      local seq, key = string.match(member, '^%d+%-(%d+)\\n(.*)$')
      note(UNREAD, tonumber(seq), '\\n' .. key)
    end
    redis.call('ZREMRANGEBYRANK', WAITING, 0, surplus - 1)
  end
  bound(UNREAD, meta, 'mailForgotten')
end
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
    for _, key in ipairs(cjson.decode(fields.k)) do note(lost, seq, (fields.h or '') .. '\\n' .. key) end
  end
  if #gone > 0 then redis.call('XDEL', PARTS, unpack(gone)) end
end
local function unwait(id, key)
  local seq = string.match(id, '%d+$')
  if redis.call('ZREM', WAITING, id .. '\\n' .. key) == 1 and redis.call('ZCOUNT', WAITING, seq, seq) == 0 then
    if #redis.call('XRANGE', MAIL, id, id) > 0 then redis.call('ZADD', DONE, now(), id) end
  end
end
local function take(takes)
  for _, each in ipairs(takes.taken) do unwait(each[1], each[2]) end
  for _, each in ipairs(takes.told) do
    -- Whoever was told that it is lost must not get it later, out of its order.
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', WAITING, '-inf', each[1])) do
      local id, key = string.match(member, '^([^\\n]*)\\n(.*)$')
      if key == each[2] then unwait(id, key) end
    end
    for _, host in ipairs({ '', each[3] }) do
      local lost = redis.call('ZSCORE', UNREAD, host .. '\\n' .. each[2])
      if lost and tonumber(lost) <= tonumber(each[1]) then redis.call('ZREM', UNREAD, host .. '\\n' .. each[2]) end
    end
  end
end
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
      local held = hold(entry, fields, seq)
      local mailboxes = {}
      if held then for _, key in ipairs(cjson.decode(fields.m or fields.k)) do mailboxes[key] = true end end
      if fields.k then
        for _, key in ipairs(cjson.decode(fields.k)) do
          if not mailboxes[key] then note(lost, seq, (fields.h or '') .. '\\n' .. key) end
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
`;

/**
 * A process takes part in the order: begins a new epoch if need be, and hands in what it knows of the last one that the
 * store has lost, for those who never heard of it.
 *
 * KEYS order, meta. ARGV its term and seq, both '' for none; its last messages' keys as JSON.
 * Returns the present term and seq, and Redis' clock in ms.
 */
export const ATTACH = `${HEAD}
local MAX_EPOCHS = 32
local order, meta = KEYS[1], KEYS[2]
local mine, heard = tonumber(ARGV[1]), tonumber(ARGV[2])
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local known = redis.call('HMGET', meta, 'term', 'seq', 'run', 'epochs')
local term, seq = tonumber(known[1]), tonumber(known[2] or 0)
local epochs = known[4] and cjson.decode(known[4]) or {}
local function save()
  while #epochs > MAX_EPOCHS do table.remove(epochs, 1) end
  redis.call('HSET', meta, 'epochs', cjson.encode(epochs))
end
if not term or known[3] ~= run or (mine == term and heard > seq) then
  if term then epochs[#epochs].last = seq end
  local newest = redis.call('XREVRANGE', order, '+', '-', 'COUNT', 1)[1]
  local highest = newest and tonumber(string.match(newest[1], '^%d+')) or 0
  term = math.max(now(), (term or 0) + 1, (mine or 0) + 1, highest + 1)
  epochs[#epochs + 1] = { term = term, first = seq + 1 }
  redis.call('HSET', meta, 'term', string.format('%.0f', term), 'seq', seq, 'run', run)
  save()
end
if mine and mine ~= term then
  local epoch
  for _, each in ipairs(epochs) do if each.term == mine then epoch = each end end
  if not epoch then
    epoch = { term = mine, first = 1, last = 0 }
    local at = 1
    while epochs[at] and epochs[at].term < mine do at = at + 1 end
    table.insert(epochs, at, epoch)
  end
  if heard > math.max(epoch.last or 0, epoch.seen or 0) then
    epoch.seen = heard
    seq = redis.call('HINCRBY', meta, 'seq', 1)
    redis.call('XADD', order, place(term, seq), 't', string.format('%.0f', now()), 'w', ARGV[3])
    save()
  end
end
return { string.format('%.0f', term), seq, string.format('%.0f', now()) }
`;

/**
 * Orders a publisher's drafts, each once: its numbers grow, and those that are not new are passed over. A draft that its
 * fence stops gets a place without a message, so that its publisher hears of it.
 *
 * KEYS order, meta, lost, latest, the publisher's newest number, fences, mail, waiting, done, unread, parts. ARGV the
 * publisher's name, the term it knows of, ms that its number is kept, the most messages, their age in ms, that of mail and
 * of runs; then for each draft: number, keys as JSON, body, event, id, host, act as JSON, confirm, those of its keys that
 * are mailboxes as JSON, what part of a run it is as JSON, what it says was taken of mailboxes as JSON, fence as JSON, each
 * '' for none.
 * Returns 0, with nothing done, when that epoch is over: what the publisher sent before may be lost, and comes first.
 */
export const APPEND = `${HEAD}${TRIM}
local order, meta, lost, latest, newest, fences = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
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
    for _, key in ipairs(keys) do redis.call('ZADD', latest, seq, ARGV[i + 5] .. '\\n' .. key) end
    for _, key in ipairs(boxes) do redis.call('ZADD', WAITING, seq, place(term, seq) .. '\\n' .. key) end
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
`;

/**
 * A worker says that it lives; messages that are too old go.
 *
 * KEYS order, meta, lost, workers, mail, waiting, done, unread, parts. ARGV its name, the most messages, their age in ms,
 * that of mail and of runs.
 */
export const BEAT = `${HEAD}${TRIM}
-- What only frees memory comes first: Redis does it when it is full, and refuses nothing after it.
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now() - 60000)
trim(KEYS[1], KEYS[2], KEYS[3], tonumber(ARGV[2]), tonumber(ARGV[3]), 512)
trimMail(KEYS[1], KEYS[2], KEYS[3], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), 512)
trimRuns(KEYS[3], tonumber(ARGV[2]), tonumber(ARGV[5]), 512)
redis.call('ZADD', KEYS[4], now(), ARGV[1])
return 1
`;

/**
 * Asks all workers that live.
 *
 * KEYS workers, questions. ARGV the question, and for how many ms one lives without a word.
 * Returns their names.
 */
export const ASK = `${HEAD}
redis.call('XADD', KEYS[2], 'MAXLEN', '~', 256, '*', 'q', ARGV[1])
return redis.call('ZRANGEBYSCORE', KEYS[1], now() - ARGV[2], '+inf')
`;
