import type { LossReason } from '../order/broker';
import type { LastEventId } from '../order/cursor';
import type { Entry } from './entry';
import { isAfter, type Rank } from './epochs';
import { Gaps } from './gaps';
import type { Log } from './log';
import { cursorAt } from './merge';
import type { Beginning, Reader } from './reader';
import type { Loss, Tail } from './tails';
import { Throttle, type ThrottledKeys } from './throttle';

/** The place of a client in the order, as its last event id names it. */
interface ClientPlace extends Rank {
  /** The place from which on messages of throttled keys may not have been sent; undefined when all were. */
  readonly heldFrom: number | undefined;
  /** The entry whose own id the client came with. */
  readonly entry?: Entry;
}

/** A reader of what comes from now on. */
export function readFromHead(log: Log, keys: readonly string[], throttle?: Throttle): Reader {
  return readFrom(log, log.head, keys, throttle);
}

/**
 * A reader of the mail that waits for its keys and of its runs from their start, then of what comes from now on; with
 * the gaps that it must be told of first: of mail that was lost before it was taken, which is told once, and of runs
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

/**
 * A reader of everything after a client's last event id, with the gaps that it must be told of first.
 *
 * With a cursor of an earlier epoch it reads all that is kept of this one, since its client has seen none of it. With
 * an unknown id it reads from now on, since it is not known what its client has seen.
 *
 * Of a throttled key it reads the newest message only, and is told of no gap as long as that is kept.
 */
export function resume(log: Log, lastEventId: LastEventId, keys: readonly string[], throttle?: Throttle): Beginning {
  const { cursor, mail } = lastEventId;
  const place = placeOf(log, lastEventId, keys);
  if (place === undefined && (cursor === undefined || cursor.epoch === log.epochs.name)) {
    return { reader: begin(log, keys, throttle).reader, gaps: [{ reason: 'unknown', keys }] };
  }
  const { term, seq } = place ?? { term: log.epochs.term, seq: 0 };
  // The place with its mail, if it had not come to the end of that.
  const mailPlace = place === undefined || mail === undefined ? undefined : log.epochs.rankOf(mail);
  const gaps = new Gaps();
  const told = new Map<string, number>();
  let offset = log.head;
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
    // The losses until now were just told, or lie before the client's place: `read` must not tell them again.
    const lost = log.tails.newestLoss(key, keys, () => true);
    if (lost !== undefined) told.set(key, lost.offset);
    const first = tail?.at(tail.indexAfterPlace(term, seq));
    if (first !== undefined) offset = Math.min(offset, first.offset - 1);
  }
  throttle?.resume(place === undefined ? [] : unsentAt(log, place, keys, throttle));
  const reader: Reader = { ...readFrom(log, offset, keys, throttle), told };
  if (place !== undefined) takeSeen(log, place, keys);
  if (mailPlace !== undefined) {
    takeSeen(log, mailPlace, keys);
    moveBack(log, reader, lastEventId.id, (tail) => tail.at(tail.indexAfterPlace(mailPlace.term, mailPlace.seq)));
  }
  return { reader, gaps: gaps.all };
}

/**
 * A reader whose place is not known yet: the order is out of sight, and its client may have received more of it from
 * another process. Until it is placed it reads only entries without a place in the order.
 */
export function readUnplaced(log: Log, keys: readonly string[], throttle?: Throttle): Reader {
  return { ...readFromHead(log, keys, throttle), placed: false };
}

/** Gives a reader its place after its client's last event id; returns the gaps that it must be told of first. */
export function place(log: Log, reader: Reader, lastEventId: LastEventId | undefined): Beginning['gaps'] {
  const { keys, offset: liveFrom, throttle, showsKeys, isOfRun } = reader;
  // A client without an id may have missed messages: those from before and after it came have arrived together.
  const { reader: placed, gaps } =
    lastEventId === undefined
      ? { ...begin(log, keys, throttle), gaps: [{ reason: 'unknown' as const, keys }] }
      : resume(log, lastEventId, keys, throttle);
  Object.assign(reader, placed, { liveFrom, showsKeys, isOfRun });
  return gaps;
}

/** Gives a reader other keys. It reads the new ones from now on, with the mail that waits for them and their runs. */
export function rekey(log: Log, reader: Reader, keys: readonly string[], throttled?: ThrottledKeys): void {
  const since = new Map(reader.since);
  const added = keys.filter((key) => !reader.keys.includes(key));
  for (const key of added) since.set(key, log.head);
  reader.keys = keys;
  if (throttled === undefined) {
    reader.throttle = undefined;
  } else if (reader.throttle === undefined) {
    reader.throttle = new Throttle(throttled);
    reader.throttle.given = reader.offset;
  } else {
    reader.throttle.rekey(throttled);
  }
  reader.since = since.size > 0 ? since : undefined;
  if (reader.placed) addKept(log, reader, added);
}

/** Whether a last event id names a known place, for a client of these keys. */
export function knows(log: Log, lastEventId: LastEventId, keys: readonly string[]): boolean {
  return placeOf(log, lastEventId, keys) !== undefined;
}

/** Whether a loss of a throttled key does not count, since a newer message of the key is kept. */
export function isMadeUpFor(log: Log, key: string, loss: Loss, throttle: Throttle | undefined): boolean {
  const tail = throttle?.throttles(key) === true ? log.tails.get(key) : undefined;
  if (tail === undefined) return false;
  let index = tail.length - 1;
  while (tail.at(index)?.inOrder === false) index--;
  return index >= 0 && isAfter(tail.at(index)!, loss);
}

function readFrom(log: Log, offset: number, keys: readonly string[], throttle: Throttle | undefined): Reader {
  if (throttle !== undefined) throttle.given = offset;
  return {
    keys,
    offset,
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

/** The reason why a run is not whole; undefined when it is, or when there never was one. */
function lossOfRun(log: Log, key: string, keys: readonly string[]): LossReason | undefined {
  const tail = log.tails.get(key);
  if (tail === undefined) return undefined;
  const loss = log.tails.newestLoss(key, keys, () => true);
  if (tail.run === undefined) return loss?.reason;
  if (tail.run.start === undefined || tail.firstOfRun !== tail.run.start) return loss?.reason ?? 'evicted';
  return loss !== undefined && isAfter(loss, tail.run.start) ? loss.reason : undefined;
}

/** Gives a reader the mail that waits for some of its keys, and the runs among them from their start. */
function addKept(log: Log, reader: Reader, keys: readonly string[]): void {
  const boxes = log.mailboxes.of(keys).filter((key) => (log.tails.get(key)?.waiting ?? 0) > 0);
  const runs = log.runsOf(keys).filter((key) => log.tails.get(key) !== undefined);
  if (boxes.length + runs.length === 0) return;
  reader.mail = new Map(reader.mail);
  reader.told = new Map(reader.told);
  for (const key of boxes) reader.mail.set(key, log.head);
  for (const key of [...boxes, ...runs]) {
    // Mail that others took is no loss of this client, and it has been told of the losses of its runs.
    const lost = log.tails.newestLoss(key, reader.keys, () => true);
    if (lost !== undefined) reader.told.set(key, lost.offset);
  }
  const cursor = cursorAt(log, reader);
  // Before there is an order, neither mail nor runs are there.
  if (cursor === undefined) return;
  moveBack(log, reader, cursor, (tail) => {
    if (boxes.includes(tail.key)) return tail.firstWaiting;
    return runs.includes(tail.key) ? tail.firstOfRun : undefined;
  });
}

/** Moves a reader back to the entries `firstOf` some keys, not with other keys; `cursor`: its place with those. */
function moveBack(log: Log, reader: Reader, cursor: string, firstOf: (tail: Tail) => Entry | undefined): void {
  const since = new Map<string, number>();
  let { offset } = reader;
  for (const key of reader.keys) {
    const tail = log.tails.get(key);
    const first = tail?.archive === undefined ? undefined : firstOf(tail);
    const known = Math.max(reader.offset, reader.since?.get(key) ?? 0);
    const from = first === undefined ? known : Math.min(known, first.offset - 1);
    since.set(key, from);
    offset = Math.min(offset, from);
  }
  reader.floor ??= { offset: reader.offset, cursor };
  reader.since = since;
  reader.offset = offset;
}

/** Takes the mail whose place a client names: it has that, even if the worker that wrote it died before it said so. */
function takeSeen(log: Log, { term, seq }: Rank, keys: readonly string[]): void {
  for (const key of log.mailboxes.of(keys)) {
    const entry = log.tails.get(key)?.atPlace(term, seq);
    if (entry !== undefined) log.mailboxes.take(entry, key);
  }
}

/** The newest entries of throttled keys that may not have been sent to a client that comes back, oldest first. */
function unsentAt(
  log: Log,
  { term, seq, heldFrom, entry: own }: ClientPlace,
  keys: readonly string[],
  throttle: Throttle,
): Entry[] {
  if (heldFrom === undefined) return [];
  const unsent = new Set<Entry>();
  // Entries that the client certainly has: nothing older of their keys may come after them.
  const seen: Entry[] = [];
  for (const key of keys) {
    const tail = throttle.throttles(key) ? log.tails.get(key) : undefined;
    if (tail === undefined) continue;
    let index = tail.indexAfterPlace(term, seq) - 1;
    // An entry without a place in the order is live only.
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
  // An id that was given twice means the older message: the client gets some messages again, but misses none.
  const entry = log.ids.find(id, keys);
  // A publisher's own id does not say from where on messages were held back: that may be from the start.
  if (entry !== undefined) return { term: entry.term, seq: entry.seq, heldFrom: 0, entry };
  if (cursor === undefined) return undefined;
  const rank = log.epochs.rankOf(cursor);
  if (rank === undefined || (rank.term === log.epochs.term && rank.seq > log.epochs.seq)) return undefined;
  return { ...rank, heldFrom: cursor.heldFrom };
}
