import type { LastEventId } from '../order/cursor';
import type { LossReason } from '../order/broker';
import type { Entry } from './entry';
import { isAfter, type Rank } from './epochs';
import { Gaps } from './gaps';
import type { Log } from './log';
import { cursorAt } from './merge';
import type { Beginning, Reader } from './reader';
import type { Loss, Tail } from './tails';
import { Throttle, type ThrottledKeys } from './throttle';

/** Where a client was. */
interface ClientPlace extends Rank {
  /** The place from which on something of a throttled key may not have been sent. */
  readonly heldFrom: number | undefined;
  /** The entry whose own id it came with. */
  readonly entry?: Entry;
}

/** A reader of what comes from now on. */
export function readFromHead(log: Log, keys: readonly string[], throttle?: Throttle): Reader {
  return readFrom(log, log.head, keys, throttle);
}

/**
 * A reader of the mail that waits for its keys and of its runs from their start, then of what comes from now on; with
 * the gaps that it must be told of first: of mail that was lost before anyone took it, which is told once, and of runs
 * that are not whole.
 */
export function begin(log: Log, keys: readonly string[], throttle?: Throttle): Beginning {
  const reader = readFromHead(log, keys, throttle);
  const gaps = new Gaps();
  for (const key of keys) {
    const reason = log.mailboxes.tellLost(key);
    if (reason !== undefined) gaps.add(reason, key);
  }
  for (const key of log.runsOf(keys)) {
    const reason = lossOfRun(log, key, keys);
    if (reason !== undefined) gaps.add(reason, key);
  }
  addKept(log, reader, keys);
  return { reader, gaps: gaps.all };
}

/** Why a run is not whole; undefined when it is, or when there never was one. */
function lossOfRun(log: Log, key: string, keys: readonly string[]): LossReason | undefined {
  const tail = log.tails.get(key);
  if (tail === undefined) return undefined;
  const loss = log.tails.newestLoss(key, keys, () => true);
  if (tail.run === undefined) return loss?.reason;
  if (tail.run.start === undefined || tail.firstOfRun !== tail.run.start) return loss?.reason ?? 'evicted';
  return loss !== undefined && isAfter(loss, tail.run.start) ? loss.reason : undefined;
}

/**
 * A reader of everything after a client's last event id, with the gaps that it must be told of first.
 *
 * A cursor of an earlier epoch reads all that is kept of this one: its client has seen none of it. An id that nobody
 * knows reads from now on, since what its client has seen cannot be told.
 *
 * Of a throttled key it reads the newest message only, and is told of no gap as long as there is one.
 */
export function resume(log: Log, lastEventId: LastEventId, keys: readonly string[], throttle?: Throttle): Beginning {
  const { cursor, mail } = lastEventId;
  const place = placeOf(log, lastEventId, keys);
  if (place === undefined && (cursor === undefined || cursor.epoch === log.epochs.name)) {
    return { reader: begin(log, keys, throttle).reader, gaps: [{ reason: 'unknown', keys }] };
  }
  const { term, seq } = place ?? { term: log.epochs.term, seq: 0 };
  // Where it was with its mail, if it had not come to the end of that.
  const mailPlace = place === undefined || mail === undefined ? undefined : log.epochs.rankOf(mail);
  const gaps = new Gaps();
  const told = new Map<string, number>();
  let position = log.head;
  for (const key of keys) {
    const tail = log.tails.get(key);
    if (place === undefined) {
      gaps.add('restarted', key);
    } else {
      const isThrottled = throttle?.throttles(key) === true && place.entry === undefined;
      const seen = isThrottled && place.heldFrom !== undefined ? { term, seq: place.heldFrom - 1 } : place;
      const after = (tail?.archive !== undefined && mailPlace) || seen;
      const loss = log.tails.newestLoss(key, keys, (lost, inOrder) => inOrder && isAfter(lost, after));
      if (loss !== undefined && !isMadeUpFor(log, key, loss, throttle)) gaps.add(loss.reason, key);
    }
    // All that is lost now was just told, or lies before the reader's place.
    const lost = log.tails.newestLoss(key, keys, () => true);
    if (lost !== undefined) told.set(key, lost.offset);
    const first = tail?.at(tail.indexAfterPlace(term, seq));
    if (first !== undefined) position = Math.min(position, first.offset - 1);
  }
  throttle?.resume(place === undefined ? [] : unsentAt(log, place, keys, throttle));
  const reader: Reader = { ...readFrom(log, position, keys, throttle), told };
  if (place !== undefined) takeSeen(log, place, keys);
  if (mailPlace !== undefined) {
    takeSeen(log, mailPlace, keys);
    moveBack(log, reader, lastEventId.id, (tail) => tail.at(tail.indexAfterPlace(mailPlace.term, mailPlace.seq)));
  }
  return { reader, gaps: gaps.all };
}

/**
 * A reader whose place cannot be told yet: the order is out of sight, and its client may have heard of more elsewhere.
 * It reads only what has no place in the order, until it is placed.
 */
export function readUnplaced(log: Log, keys: readonly string[], throttle?: Throttle): Reader {
  return { ...readFromHead(log, keys, throttle), placed: false };
}

/** Gives a reader its place after its client's last event id; returns the gaps that it must be told of first. */
export function place(log: Log, reader: Reader, lastEventId: LastEventId | undefined): Beginning['gaps'] {
  const { keys, position: liveFrom, throttle, showsKeys, isOfRun } = reader;
  // What was published since it came is among what came just now, nobody knows from where on.
  const { reader: placed, gaps } =
    lastEventId === undefined
      ? { ...begin(log, keys, throttle), gaps: [{ reason: 'unknown' as const, keys }] }
      : resume(log, lastEventId, keys, throttle);
  Object.assign(reader, placed, { liveFrom, showsKeys, isOfRun });
  return gaps;
}

/** Gives a reader other keys: those that are new to it, from now on, with the mail that waits for them and their runs. */
export function rekey(log: Log, reader: Reader, keys: readonly string[], throttled?: ThrottledKeys): void {
  const since = new Map(reader.since);
  const added = keys.filter((key) => !reader.keys.includes(key));
  for (const key of added) since.set(key, log.head);
  reader.keys = keys;
  if (throttled === undefined) {
    reader.throttle = undefined;
  } else if (reader.throttle === undefined) {
    reader.throttle = new Throttle(throttled);
    reader.throttle.given = reader.position;
  } else {
    reader.throttle.rekey(throttled);
  }
  reader.since = since.size > 0 ? since : undefined;
  if (reader.placed) addKept(log, reader, added);
}

/** Whether a last event id says where a client of these keys was. */
export function knows(log: Log, lastEventId: LastEventId, keys: readonly string[]): boolean {
  return placeOf(log, lastEventId, keys) !== undefined;
}

/** Whether a loss of a throttled key is none: a newer message of it is kept. */
export function isMadeUpFor(log: Log, key: string, loss: Loss, throttle: Throttle | undefined): boolean {
  const tail = throttle?.throttles(key) === true ? log.tails.get(key) : undefined;
  if (tail === undefined) return false;
  let index = tail.length - 1;
  while (tail.at(index)?.inOrder === false) index--;
  return index >= 0 && isAfter(tail.at(index)!, loss);
}

function readFrom(log: Log, position: number, keys: readonly string[], throttle: Throttle | undefined): Reader {
  if (throttle !== undefined) throttle.given = position;
  return {
    keys,
    position,
    liveFrom: log.head,
    placed: true,
    since: undefined,
    told: undefined,
    mail: undefined,
    floor: undefined,
    throttle,
    showsKeys: false,
    isOfRun: false,
  };
}

/** Gives a reader the mail that waits for some of its keys, and those of them that are runs from their start. */
function addKept(log: Log, reader: Reader, keys: readonly string[]): void {
  const boxes = log.mailboxes.of(keys).filter((key) => (log.tails.get(key)?.waiting ?? 0) > 0);
  const runs = log.runsOf(keys).filter((key) => log.tails.get(key) !== undefined);
  if (boxes.length + runs.length === 0) return;
  reader.mail = new Map(reader.mail);
  reader.told = new Map(reader.told);
  for (const key of boxes) reader.mail.set(key, log.head);
  for (const key of [...boxes, ...runs]) {
    // It was not owed what others took before, and has been told of what its runs have lost.
    const lost = log.tails.newestLoss(key, reader.keys, () => true);
    if (lost !== undefined) reader.told.set(key, lost.offset);
  }
  const cursor = cursorAt(log, reader);
  // Without an order there is nothing to give.
  if (cursor === undefined) return;
  moveBack(log, reader, cursor, (tail) => {
    if (boxes.includes(tail.key)) return tail.firstWaiting;
    return runs.includes(tail.key) ? tail.firstOfRun : undefined;
  });
}

/** Moves a reader back to what is kept of some keys, but with no other key; `cursor` says where it is with those. */
function moveBack(log: Log, reader: Reader, cursor: string, firstOf: (tail: Tail) => Entry | undefined): void {
  const since = new Map<string, number>();
  let { position } = reader;
  for (const key of reader.keys) {
    const tail = log.tails.get(key);
    const first = tail?.archive === undefined ? undefined : firstOf(tail);
    const known = Math.max(reader.position, reader.since?.get(key) ?? 0);
    const from = first === undefined ? known : Math.min(known, first.offset - 1);
    since.set(key, from);
    position = Math.min(position, from);
  }
  reader.floor ??= { offset: reader.position, cursor };
  reader.since = since;
  reader.position = position;
}

/** A client that names the place of a message has got it, though the worker that wrote it may have died before it said so. */
function takeSeen(log: Log, { term, seq }: Rank, keys: readonly string[]): void {
  for (const key of log.mailboxes.of(keys)) {
    const entry = log.tails.get(key)?.atPlace(term, seq);
    if (entry !== undefined) log.mailboxes.take(entry, key);
  }
}

/** What may not have been sent to a client of some throttled keys that comes back to a place, oldest first. */
function unsentAt(
  log: Log,
  { term, seq, heldFrom, entry: own }: ClientPlace,
  keys: readonly string[],
  throttle: Throttle,
): Entry[] {
  if (heldFrom === undefined) return [];
  const unsent = new Set<Entry>();
  // What the client has for sure; nothing older of its keys is to come after it.
  const seen: Entry[] = [];
  for (const key of keys) {
    const tail = throttle.throttles(key) ? log.tails.get(key) : undefined;
    if (tail === undefined) continue;
    let index = tail.indexAfterPlace(term, seq) - 1;
    // Without a place in the order it is live only.
    while (tail.at(index)?.inOrder === false) index--;
    const newest = tail.at(index);
    if (index < 0 || newest === undefined || newest.term !== term || newest.seq < heldFrom) continue;
    if (newest === own || throttle.isWhole(newest)) seen.push(newest);
    else unsent.add(newest);
  }
  const isOver = (entry: Entry): boolean =>
    seen.some(
      ({ offset, keys: those }) =>
        offset > entry.offset && those.some((key) => throttle.throttles(key) && entry.keys.includes(key)),
    );
  return [...unsent].filter((entry) => !isOver(entry)).sort((a, b) => a.offset - b.offset);
}

function placeOf(log: Log, { id, cursor }: LastEventId, keys: readonly string[]): ClientPlace | undefined {
  // An id given twice means the older: its client gets some messages again, rather than never.
  const entry = log.ids.find(id, keys);
  // An id of the publisher's does not say what was not sent: all may not have been.
  if (entry !== undefined) return { term: entry.term, seq: entry.seq, heldFrom: 0, entry };
  if (cursor === undefined) return undefined;
  const rank = log.epochs.rankOf(cursor);
  if (rank === undefined || (rank.term === log.epochs.term && rank.seq > log.epochs.seq)) return undefined;
  return { ...rank, heldFrom: cursor.heldFrom };
}
