-- A process enters the order: it begins a new epoch if need be, and hands in what it knows of the last one that the
-- store has lost, for processes that never heard of it.
--
-- KEYS order, meta.
-- ARGV the process's term and seq, both '' for none; its testimony as JSON.
-- Returns the present term and seq, and Redis' clock in ms.

-- The most epochs that are remembered.
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

-- Another server process may have lost messages that the last one ordered; one that knows less than this process has.
if not term or known[3] ~= run or (mine == term and heard > seq) then
  if term then epochs[#epochs].last = seq end
  local newest = redis.call('XREVRANGE', order, '+', '-', 'COUNT', 1)[1]
  local highest = newest and tonumber(string.match(newest[1], '^%d+')) or 0
  term = math.max(now(), (term or 0) + 1, (mine or 0) + 1, highest + 1)
  epochs[#epochs + 1] = { term = term, first = seq + 1 }
  redis.call('HSET', meta, 'term', string.format('%.0f', term), 'seq', seq, 'run', run)
  save()
end

-- The epoch that this process comes from is over: messages of it that the store never had, or has lost, are made known.
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
