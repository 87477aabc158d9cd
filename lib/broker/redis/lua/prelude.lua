-- The beginning of every script of the order, and how the order stands in Redis:
--
-- order           A stream of messages. An entry's id is its place, `<term>-<seq>`. `seq` counts on for as long as the
--                 store lives. `term` names the epoch and grows: a new one begins whenever another server process
--                 answers, since the last one may have lost messages when it died. Its fields: `t` when it was ordered,
--                 in ms; `n` its nonce; `k` its keys; `b` its body; `e` its event; `i` its publisher's own id; `h` its
--                 host, if it is for one only; `a` its act; `c` its confirm; `m` the mailboxes among its keys; `r` what
--                 part of a run it is; or `w`, a process's testimony. Lists and objects are JSON.
-- meta            A hash: the present `term` and `seq`; the server's `run`; the `epochs` there were; up to which seq
--                 messages were `trimmed`, and of those, were too many (`evicted`); up to which mail was too much
--                 (`mailEvicted`). The sorted sets are bounded: up to `forgotten` the notes of `lost` were dropped, up
--                 to `unlisted` those of `latest`, up to `mailForgotten` those of `unread`.
-- lost            A sorted set: `<host>\n<key>` by the newest seq that was trimmed. `<host>` is '' for all hosts.
-- latest          A sorted set: `<host>\n<key>` by the newest seq that was given. It tells what may be missing when
--                 others than these scripts took messages away.
-- mail            A stream of messages that left `order` while a mailbox waited for them, with the same ids.
-- waiting         A sorted set: `<id>\n<key>` by seq, for each mailbox that waits for a message of `order` or `mail`.
-- done            A sorted set: ids of `mail` that no mailbox waits for any more, by the ms when they were taken.
-- unread          A sorted set: `<host>\n<key>` by the newest seq that was let go of before anyone took it.
-- parts           A stream of parts of runs that left `order`, with the same ids.
-- from:<worker>   A publisher's newest number.
-- fences          A hash: of each schedule, its newest run that came to an end, and its result's digest.
-- workers         A sorted set: workers by the ms when they last said that they live.
-- questions       A stream of what workers ask of all; the answers go to `inbox:<worker>`.

-- The clock, in ms.
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function fieldsOf(entry)
  local fields = {}
  for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
  return fields
end

-- The id of an entry.
local function place(term, seq) return string.format('%.0f-%.0f', term, seq) end
