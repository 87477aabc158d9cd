import type { Act } from './broker';
import { parseCursor, toCursor, type Position } from './cursor';
import { bodyOf, toFrame } from './event';
import { furthest, Tail, type Loss, type LossReason } from './tail';
import { Throttle, type ThrottledKeys } from './throttle';

/** A message in the log: its frame, encoded once, and where it stands. */
export interface Entry {
  /** Its place in this log: 1, 2, 3 … */
  readonly offset: number;
  readonly keys: readonly string[];
  readonly frame: Buffer;
  /** The publisher's own id. */
  readonly id: string | undefined;
  /** Its event's name. */
  readonly event: string | undefined;
  /** What its publisher knows it by. */
  readonly nonce: string | undefined;
  /** What was to be done, instead of a message. */
  readonly act: Act | undefined;
  /** Its epoch, as a number that grows with each epoch this log has seen. */
  readonly term: number;
  /** Its place in the order or, without one, that of the newest message before it. */
  readonly seq: number;
  /** Whether it has a place of its own in the order; without one it is live only. */
  readonly inOrder: boolean;
  /** ms of a monotonic clock. */
  readonly appendedAt: number;
  /** In how many tails it stands. */
  holders: number;
  older: Entry | undefined;
  newer: Entry | undefined;
}

/** What to append. */
export interface Append {
  readonly keys: readonly string[];
  readonly frame: Buffer;
  readonly id?: string | undefined;
  readonly event?: string | undefined;
  readonly nonce?: string | undefined;
  readonly act?: Act | undefined;
  readonly position?: Position | undefined;
}

/** What a log has lost: of some keys, and at most of all the others. */
export interface Losses {
  readonly keys: readonly { readonly key: string; readonly seq: number; readonly reason: LossReason }[];
  readonly others: { readonly seq: number; readonly reason: LossReason } | undefined;
}

/** Nothing is lost. */
export const NO_LOSSES: Losses = { keys: [], others: undefined };

/** Someone who reads the log: which keys, and how far they have come. `read` moves them on. */
export interface Reader {
  keys: readonly string[];
  /** The offset up to which they have everything. */
  position: number;
  /** The offset from which they are live: what has no place in the order is theirs only after it. */
  liveFrom: number;
  /** False as long as their place in the order cannot be told: only what has no place in it is theirs. */
  seated: boolean;
  /** The offset after which they began to read. */
  from: number;
  /** By key, the same for those that they did not hold from the start. */
  starts: Map<string, number> | undefined;
  /** By key, the offset from which on it is theirs, for those that they did not hold before; undefined once past it. */
  since: Map<string, number> | undefined;
  /** By key, the offset up to which they were told what is lost; undefined once they are past all of it. */
  told: Map<string, number> | undefined;
  /** Holds back what comes too often; undefined when none of their keys is throttled. */
  throttle: Throttle | undefined;
}

/** Messages that were not kept. */
export interface Gap {
  /** `unknown`: an id that nobody knows; `restarted`: an id of an order that has ended. */
  readonly reason: LossReason | 'unknown' | 'restarted';
  readonly keys: readonly string[];
}

/** What `read` found: frames in order, after the gaps that come before them. */
export interface Batch {
  readonly frames: Buffer | undefined;
  readonly count: number;
  readonly gaps: readonly Gap[];
  /** The cursor of the place just after the gaps; without gaps undefined. */
  readonly resumeAt: string | undefined;
  /** Whether more is there than fitted. */
  readonly more: boolean;
}

/** The bounds of a log: ms, messages per key, bytes in all. */
export interface LogBounds {
  readonly age: number;
  readonly count: number;
  readonly bytes: number;
}

/** Where a client was. */
interface ClientPlace {
  readonly term: number;
  readonly seq: number;
  /** From which place on something of a throttled key may have been held back. */
  readonly heldFrom: number | undefined;
  /** The entry whose own id it came with. */
  readonly entry?: Entry;
}

const NOTHING: Batch = { frames: undefined, count: 0, gaps: [], resumeAt: undefined, more: false };

// What an entry, its place in a tail and a tail cost besides the frame, measured (bench/history.ts).
const ENTRY_BYTES = 500;
const PLACE_BYTES = 16;
const TAIL_BYTES = 560;

// How many keys without any message are remembered for what they lost. Older ones are forgotten together.
const MAX_EMPTY_TAILS = 16_384;

/**
 * What this process delivered, in order, indexed by key.
 *
 * Never holds more than `bytes` and one message. Lets go by `count` and `age` only of what was settled, so that a burst
 * reaches every client that keeps up. Reading costs what it returns, not what is kept.
 */
export class Log {
  readonly #bounds: LogBounds;
  readonly #now: () => number;
  readonly #tails = new Map<string, Tail>();
  /** Tails without entries, by when they became so: they remember what was lost. */
  readonly #emptyTails = new Set<Tail>();
  /** Tails with more than `count` entries. */
  readonly #longTails = new Set<Tail>();
  /** What the forgotten empty tails had lost at most. */
  #forgotten: { lost: Loss | undefined; lostInOrder: Loss | undefined } = { lost: undefined, lostInOrder: undefined };
  readonly #ids = new Map<string, Entry[]>();
  /** Epochs: their number, and how far they have come. */
  readonly #terms = new Map<string, { readonly term: number; seq: number }>();
  #epoch = '';
  #term = 0;
  #seq = 0;
  #head = 0;
  #settled = 0;
  #oldest: Entry | undefined;
  #newest: Entry | undefined;
  #count = 0;
  #bytes = 0;
  /** The last joined batch: readers at the same place with the same keys share its buffer. */
  #shared:
    | { keys: readonly string[]; from: number; head: number; maxBytes: number; to: number; batch: Batch }
    | undefined;
  /** The last frame that got another id than its own: readers at the same place share its buffer. */
  #renamed: { readonly entry: Entry; readonly id: string; readonly frame: Buffer } | undefined;

  constructor(bounds: LogBounds, now: () => number = () => performance.now()) {
    this.#bounds = bounds;
    this.#now = now;
  }

  /** The offset of the newest entry. */
  get head(): number {
    return this.#head;
  }

  /** What is kept: messages, the bytes they are counted as, and keys. */
  get size(): { messages: number; bytes: number; keys: number } {
    return { messages: this.#count, bytes: this.#bytes, keys: this.#tails.size };
  }

  /** The newest place in the order; `undefined` before there is an order. */
  get place(): Position | undefined {
    return this.#epoch === '' ? undefined : { epoch: this.#epoch, seq: this.#seq };
  }

  /** The cursor of the newest place in the order. */
  get cursor(): string | undefined {
    return this.place === undefined ? undefined : toCursor(this.place);
  }

  /** Says which epoch the order is in, so that cursors can be given before its first message. */
  begin(position: Position): void {
    if (position.epoch !== this.#epoch) {
      this.#epoch = position.epoch;
      this.#term = this.#terms.size + 1;
    }
    this.#seq = position.seq;
    const known = this.#terms.get(position.epoch);
    if (known === undefined) this.#terms.set(position.epoch, { term: this.#term, seq: position.seq });
    else known.seq = position.seq;
  }

  append({ keys, frame, id, event, nonce, act, position }: Append): void {
    if (position !== undefined) this.begin(position);
    const entry: Entry = {
      offset: ++this.#head,
      keys,
      frame,
      id,
      event,
      nonce,
      act,
      term: this.#term,
      seq: this.#seq,
      inOrder: position !== undefined,
      appendedAt: this.#now(),
      holders: keys.length,
      older: this.#newest,
      newer: undefined,
    };
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
    this.#count++;
    this.#bytes += cost(entry);
    for (const key of keys) {
      const tail = this.#tailFor(key);
      tail.push(entry);
      if (tail.length > this.#bounds.count) this.#longTails.add(tail);
    }
    if (id !== undefined) this.#rememberId(id, entry);
    while (this.#bytes > this.#bounds.bytes && this.#oldest !== entry) this.#dropOldest('evicted');
  }

  /** Says that every reader who keeps up has everything through this offset; lets go of what is over the bounds. */
  settle(through: number): void {
    this.#settled = through;
    this.#shared = undefined;
    for (const tail of this.#longTails) {
      while (tail.length > this.#bounds.count && tail.oldest!.offset <= through) this.#trim(tail);
      if (tail.length <= this.#bounds.count) this.#longTails.delete(tail);
    }
    this.expire();
  }

  /** Lets go of what is older than `age`. */
  expire(): void {
    const horizon = this.#now() - this.#bounds.age;
    while (this.#oldest !== undefined && this.#oldest.appendedAt < horizon && this.#oldest.offset <= this.#settled) {
      this.#dropOldest('expired');
    }
  }

  /** A reader of what comes from now on. */
  readFromHead(keys: readonly string[], throttle?: Throttle): Reader {
    return this.#readFrom(this.#head, keys, throttle);
  }

  /**
   * A reader of everything after a client's last event id, with the gaps that it must be told of first.
   *
   * A cursor of an earlier epoch reads all that is kept of this one: its client has seen none of it. An id that nobody
   * knows reads from now on, since what its client has seen cannot be told.
   *
   * Of a throttled key it reads the newest message only, and is told of no gap as long as there is one.
   */
  resume(lastEventId: string, keys: readonly string[], throttle?: Throttle): { reader: Reader; gaps: readonly Gap[] } {
    const place = this.#placeOf(lastEventId, keys);
    if (place === undefined) {
      const known = parseCursor(lastEventId);
      if (known === undefined || known.epoch === this.#epoch) {
        return { reader: this.readFromHead(keys, throttle), gaps: [{ reason: 'unknown', keys }] };
      }
    }
    const { term, seq } = place ?? { term: this.#term, seq: 0 };
    const gaps = new Map<Gap['reason'], string[]>();
    const told = new Map<string, number>();
    let position = this.#head;
    for (const key of keys) {
      const tail = this.#tails.get(key);
      if (place === undefined) {
        note(gaps, 'restarted', key);
      } else {
        const isHeld = throttle?.throttles(key) === true && place.entry === undefined;
        const seen = isHeld && place.heldFrom !== undefined ? { term, seq: place.heldFrom - 1 } : place;
        const loss = this.#newestLoss(key, keys, (lost, inOrder) => inOrder && isAfter(lost, seen));
        if (loss !== undefined && !this.#isMadeUpFor(key, loss, throttle)) note(gaps, loss.reason, key);
      }
      // All that is lost now was just told, or lies before the reader's place.
      const lost = this.#newestLoss(key, keys, () => true);
      if (lost !== undefined) told.set(key, lost.offset);
      const first = tail?.at(tail.indexAfterPlace(term, seq));
      if (first !== undefined) position = Math.min(position, first.offset - 1);
    }
    throttle?.resume(place === undefined ? [] : this.#heldAt(place, keys, throttle));
    return {
      reader: { ...this.#readFrom(position, keys, throttle), told },
      gaps: toGaps(gaps),
    };
  }

  /**
   * A reader whose place cannot be told yet: the order is out of sight, and its client may have heard of more elsewhere.
   * It reads only what has no place in the order, until it is seated.
   */
  readUnseated(keys: readonly string[], throttle?: Throttle): Reader {
    return { ...this.readFromHead(keys, throttle), seated: false };
  }

  /** Seats a reader after its client's last event id; returns the gaps that it must be told of first. */
  seat(reader: Reader, lastEventId: string | undefined): readonly Gap[] {
    const { keys, position: liveFrom, throttle } = reader;
    if (lastEventId === undefined) {
      // What was published since it came is among what came just now, nobody knows from where on.
      Object.assign(reader, this.readFromHead(keys, throttle), { liveFrom });
      return [{ reason: 'unknown', keys }];
    }
    const { reader: seated, gaps } = this.resume(lastEventId, keys, throttle);
    Object.assign(reader, seated, { liveFrom });
    return gaps;
  }

  /** Gives a reader other keys: those that are new to it, from now on. */
  rekey(reader: Reader, keys: readonly string[], throttled?: ThrottledKeys): void {
    const since = new Map(reader.since);
    const starts = new Map(reader.starts);
    for (const key of keys) {
      if (reader.keys.includes(key)) continue;
      since.set(key, this.#head);
      starts.set(key, this.#head);
    }
    reader.keys = keys;
    if (throttled === undefined) {
      reader.throttle = undefined;
    } else if (reader.throttle === undefined) {
      reader.throttle = new Throttle(throttled);
      reader.throttle.given = reader.position;
    } else {
      reader.throttle.rekey(throttled);
    }
    reader.starts = starts.size > 0 ? starts : undefined;
    reader.since = since.size > 0 ? since : undefined;
  }

  /** What is kept of the present epoch after a place in it, oldest first. */
  *since(seq: number): Generator<Entry> {
    for (let entry = this.#oldest; entry !== undefined; entry = entry.newer) {
      if (entry.inOrder && entry.term === this.#term && entry.seq > seq) yield entry;
    }
  }

  /** Whether a last event id says where a client of these keys was. */
  knows(lastEventId: string, keys: readonly string[]): boolean {
    return this.#placeOf(lastEventId, keys) !== undefined;
  }

  /** What of the present epoch is lost. */
  get losses(): Losses {
    const keys = [];
    for (const [key, { lostInOrder }] of this.#tails) {
      if (lostInOrder?.term === this.#term) keys.push({ key, seq: lostInOrder.seq, reason: lostInOrder.reason });
    }
    const others = this.#forgotten.lostInOrder;
    return { keys, others: others?.term === this.#term ? { seq: others.seq, reason: others.reason } : undefined };
  }

  /**
   * Takes over what is lost of an order that this log joins or missed a part of, or of an epoch that it followed before;
   * what is kept is appended afterwards. Readers that are behind are told.
   */
  lose(epoch: string, { keys, others }: Losses): void {
    if (!this.#terms.has(epoch)) this.begin({ epoch, seq: 0 });
    const { term, seq: heard } = this.#terms.get(epoch)!;
    const isNews = ({ seq }: { seq: number }): boolean => seq > heard;
    const news = new Map(keys.filter(isNews).map(({ key, seq, reason }) => [key, { seq, reason }]));
    // Those that the other log has forgotten may have lost as much as the last of them.
    if (others !== undefined && isNews(others)) {
      for (const key of this.#tails.keys()) if (!news.has(key)) news.set(key, others);
    }
    if (news.size === 0 && (others === undefined || !isNews(others))) return;
    const offset = ++this.#head;
    for (const [key, { seq, reason }] of news) {
      const tail = this.#tails.get(key) ?? this.#rememberKey(key);
      tail.lost = { offset, term, seq, reason };
      tail.lostInOrder = furthest(tail.lostInOrder, tail.lost);
    }
    if (others !== undefined && isNews(others)) {
      const lost = { offset, term, ...others };
      this.#forgotten = { lost, lostInOrder: furthest(this.#forgotten.lostInOrder, lost) };
    }
  }

  /** The cursor of a reader's place: resuming from it reads on exactly there. */
  cursorAt(reader: Reader): string | undefined {
    const place = this.#placeAt(reader);
    const { throttle } = reader;
    if (place === undefined || throttle === undefined) return place && this.#cursorOf(place, []);
    // From now on its client has an id as new as that.
    throttle.given = Math.max(throttle.given, reader.position);
    return this.#cursorOf(place, throttle.held);
  }

  /** The cursor of a place, for a client from whom some entries are held back. Oldest first. */
  #cursorOf({ term, seq }: { term: number; seq: number }, held: readonly Entry[]): string {
    const epoch = this.#epochOf(term);
    const oldest = held.find((entry) => entry.inOrder && entry.term === term && entry.seq <= seq);
    return oldest === undefined ? toCursor({ epoch, seq }) : toCursor({ epoch, seq, heldFrom: oldest.seq });
  }

  #placeAt(reader: Reader): { term: number; seq: number } | undefined {
    let first: Entry | undefined;
    for (const key of reader.keys) {
      const tail = this.#tails.get(key);
      if (tail === undefined) continue;
      const from = Math.max(reader.position, reader.since?.get(key) ?? 0);
      for (let i = tail.indexAfter(from); i < tail.length; i++) {
        const entry = tail.at(i)!;
        if (!entry.inOrder) continue;
        if (first === undefined || entry.offset < first.offset) first = entry;
        break;
      }
    }
    if (first !== undefined) return { term: first.term, seq: first.seq - 1 };
    return this.#epoch === '' ? undefined : { term: this.#term, seq: this.#seq };
  }

  /**
   * Reads what comes after a reader's position, up to `maxBytes` but at least one message, and moves the reader on.
   *
   * What is lost in between comes as gaps, each told once.
   */
  read(reader: Reader, maxBytes: number): Batch {
    if (reader.position === this.#head && reader.throttle === undefined) return NOTHING;
    const shared = this.#shared;
    if (
      shared !== undefined &&
      shared.keys === reader.keys &&
      shared.from === reader.position &&
      shared.head === this.#head &&
      shared.maxBytes === maxBytes &&
      reader.seated &&
      reader.position >= reader.liveFrom &&
      reader.since === undefined &&
      reader.told === undefined
    ) {
      reader.position = shared.to;
      return shared.batch;
    }
    return this.#readAnew(reader, maxBytes);
  }

  #readFrom(position: number, keys: readonly string[], throttle: Throttle | undefined): Reader {
    if (throttle !== undefined) throttle.given = position;
    return {
      keys,
      position,
      liveFrom: this.#head,
      seated: true,
      from: position,
      starts: undefined,
      since: undefined,
      told: undefined,
      throttle,
    };
  }

  #readAnew(reader: Reader, maxBytes: number): Batch {
    if (reader.throttle !== undefined) return this.#readThrottled(reader, reader.throttle, maxBytes);
    const { keys, position: from, liveFrom } = reader;
    const gaps = reader.seated ? this.#gapsOf(reader) : NOTHING.gaps;
    const resumeAt = gaps.length === 0 ? undefined : this.cursorAt(reader);
    const { entries, more } = this.#merge(reader, maxBytes);
    reader.position = more ? entries.at(-1)!.offset : this.#head;
    const isShareable = gaps.length === 0 && reader.seated && reader.since === undefined && from >= liveFrom;
    if (!more) reader.told = reader.since = undefined;
    const batch: Batch = {
      frames: join(entries.map((entry) => entry.frame)),
      count: entries.length,
      gaps,
      resumeAt,
      more,
    };
    if (isShareable) {
      this.#shared = { keys, from, head: this.#head, maxBytes, to: reader.position, batch };
    }
    return batch;
  }

  #readThrottled(reader: Reader, throttle: Throttle, maxBytes: number): Batch {
    const { liveFrom, since } = reader;
    const now = this.#now();
    const gaps = reader.seated ? this.#gapsOf(reader) : NOTHING.gaps;
    const resumeAt = gaps.length === 0 ? undefined : this.cursorAt(reader);
    // Where its client is, as far as it knows: what was held back goes out under that.
    const place = throttle.isHolding ? this.#placeAt(reader) : undefined;
    const { entries, more } = this.#merge(reader, maxBytes);
    const leaving: Entry[] = [];
    for (const entry of entries) {
      leaving.push(...throttle.take(entry, { isLive: entry.offset > liveFrom, since, now }));
    }
    reader.position = more ? entries.at(-1)!.offset : this.#head;
    if (!more) reader.told = reader.since = undefined;
    const isLate = throttle.isHolding && (!more || reader.position >= liveFrom);
    if (isLate) leaving.push(...throttle.release(now, maxBytes));
    leaving.sort((a, b) => a.offset - b.offset);
    const frames = leaving.map((entry, i) => this.#frameFor(entry, { leaving, i, throttle, place }));
    const isMoreDue = isLate && throttle.isDue(now);
    return { frames: join(frames), count: leaving.length, gaps, resumeAt, more: more || isMoreDue };
  }

  /** An entry's frame, with an id that never takes its client back, nor past what is held back from it. */
  #frameFor(
    entry: Entry,
    {
      leaving,
      i,
      throttle,
      place,
    }: {
      leaving: readonly Entry[];
      i: number;
      throttle: Throttle;
      place: { term: number; seq: number } | undefined;
    },
  ): Buffer {
    if (!entry.inOrder) return entry.frame;
    if (entry.offset <= throttle.given && place !== undefined) {
      const late = [...throttle.held, ...leaving.slice(i + 1)].sort((a, b) => a.offset - b.offset);
      return this.#rename(entry, this.#cursorOf(place, late));
    }
    throttle.given = entry.offset;
    // The publisher's own id goes out as given: whoever comes back with it gets the newest of all throttled keys.
    if (entry.id !== undefined || !throttle.isHolding) return entry.frame;
    return this.#rename(entry, this.#cursorOf(entry, throttle.held));
  }

  #rename(entry: Entry, id: string): Buffer {
    const ownId = entry.id ?? this.#cursorOf(entry, []);
    if (id === ownId) return entry.frame;
    if (this.#renamed?.entry !== entry || this.#renamed.id !== id) {
      this.#renamed = { entry, id, frame: toFrame(bodyOf(entry.frame, ownId), id) };
    }
    return this.#renamed.frame;
  }

  /** What may have been held back from a client of some keys who comes back to a place, oldest first. */
  #heldAt({ term, seq, heldFrom, entry: own }: ClientPlace, keys: readonly string[], throttle: Throttle): Entry[] {
    if (heldFrom === undefined) return [];
    const held = new Set<Entry>();
    // What the client has for sure; nothing older of its keys is to come after it.
    const seen: Entry[] = [];
    for (const key of keys) {
      const tail = throttle.throttles(key) ? this.#tails.get(key) : undefined;
      if (tail === undefined) continue;
      let index = tail.indexAfterPlace(term, seq) - 1;
      // Without a place in the order it is live only.
      while (tail.at(index)?.inOrder === false) index--;
      const newest = tail.at(index);
      if (index < 0 || newest === undefined || newest.term !== term || newest.seq < heldFrom) continue;
      if (newest === own || throttle.isWhole(newest)) seen.push(newest);
      else held.add(newest);
    }
    const isOver = (entry: Entry): boolean =>
      seen.some(
        ({ offset, keys: those }) =>
          offset > entry.offset && those.some((key) => throttle.throttles(key) && entry.keys.includes(key)),
      );
    return [...held].filter((entry) => !isOver(entry)).sort((a, b) => a.offset - b.offset);
  }

  /** Whether a loss of a throttled key is none: a newer message of it is kept. */
  #isMadeUpFor(key: string, loss: Loss, throttle: Throttle | undefined): boolean {
    const tail = throttle?.throttles(key) === true ? this.#tails.get(key) : undefined;
    if (tail === undefined) return false;
    let index = tail.length - 1;
    while (tail.at(index)?.inOrder === false) index--;
    return index >= 0 && isAfter(tail.at(index)!, loss);
  }

  #gapsOf(reader: Reader): readonly Gap[] {
    const gaps = new Map<Gap['reason'], string[]>();
    for (const key of reader.keys) {
      const known = Math.max(reader.position, reader.since?.get(key) ?? 0, reader.told?.get(key) ?? 0);
      const loss = this.#newestLoss(
        key,
        reader.keys,
        ({ offset }, inOrder) => offset > known && (inOrder || offset > reader.liveFrom),
      );
      if (loss === undefined || this.#isMadeUpFor(key, loss, reader.throttle)) continue;
      note(gaps, loss.reason, key);
      reader.told ??= new Map();
      reader.told.set(key, loss.offset);
    }
    return gaps.size === 0 ? NOTHING.gaps : toGaps(gaps);
  }

  /** The newest loss of a key that concerns someone who holds `keys`. */
  #newestLoss(
    key: string,
    keys: readonly string[],
    concerns: (loss: Pick<Loss, 'offset' | 'term' | 'seq'>, inOrder: boolean) => boolean,
  ): Loss | undefined {
    const tail = this.#tails.get(key);
    const { lost, lostInOrder } = tail ?? this.#forgotten;
    let newest: Loss | undefined;
    if (lost !== undefined && concerns(lost, false)) newest = lost;
    else if (lostInOrder !== undefined && concerns(lostInOrder, true)) newest = lostInOrder;
    for (const stray of tail?.strays ?? []) {
      if (newest !== undefined && stray.offset < newest.offset) continue;
      if (concerns(stray, stray.inOrder) && !keys.some((other) => this.#isKeptFor(stray, other))) {
        newest = { offset: stray.offset, term: stray.term, seq: stray.seq, reason: 'evicted' };
      }
    }
    return newest;
  }

  #isKeptFor(entry: Entry, key: string): boolean {
    return entry.keys.includes(key) && this.#tails.get(key)?.strays.has(entry) === false;
  }

  /** The entries of all of a reader's keys after its position, in order, each once. */
  #merge({ keys, position, liveFrom, seated, since }: Reader, maxBytes: number): { entries: Entry[]; more: boolean } {
    const sources: { tail: Tail; index: number }[] = [];
    for (const key of keys) {
      const tail = this.#tails.get(key);
      if (tail === undefined) continue;
      const index = tail.indexAfter(Math.max(position, since?.get(key) ?? 0));
      if (index < tail.length) sources.push({ tail, index });
    }
    const entries: Entry[] = [];
    let bytes = 0;
    for (;;) {
      let next: Entry | undefined;
      for (const { tail, index } of sources) {
        const entry = tail.at(index);
        if (entry !== undefined && (next === undefined || entry.offset < next.offset)) next = entry;
      }
      if (next === undefined) return { entries, more: false };
      // Without a place in the order it is live only: whoever resumes may have seen it.
      const theirs = next.inOrder ? seated : next.offset > liveFrom;
      if (theirs) {
        bytes += next.frame.length;
        if (bytes > maxBytes && entries.length > 0) return { entries, more: true };
        entries.push(next);
      }
      for (const source of sources) if (source.tail.at(source.index) === next) source.index++;
    }
  }

  #placeOf(lastEventId: string, keys: readonly string[]): ClientPlace | undefined {
    const given = this.#ids.get(lastEventId.trim());
    // An id given twice means the older: its client gets some messages again, rather than never.
    const entry = given?.find((candidate) => candidate.keys.some((key) => keys.includes(key)));
    // An id of the publisher's does not say what was held back: all may have been.
    if (entry !== undefined) return { term: entry.term, seq: entry.seq, heldFrom: 0, entry };
    const position = parseCursor(lastEventId);
    if (position === undefined) return undefined;
    const term = this.#terms.get(position.epoch)?.term;
    if (term === undefined || (term === this.#term && position.seq > this.#seq)) return undefined;
    return { term, seq: position.seq, heldFrom: position.heldFrom };
  }

  #tailFor(key: string): Tail {
    let tail = this.#tails.get(key);
    if (tail === undefined) {
      tail = new Tail(key);
      tail.lost = this.#forgotten.lost;
      tail.lostInOrder = this.#forgotten.lostInOrder;
      this.#tails.set(key, tail);
    }
    if (tail.isEmpty) {
      this.#emptyTails.delete(tail);
      this.#bytes += tailCost(tail);
    }
    return tail;
  }

  /** An empty tail, for what it lost. */
  #rememberKey(key: string): Tail {
    const tail = new Tail(key);
    tail.lostInOrder = this.#forgotten.lostInOrder;
    this.#tails.set(key, tail);
    this.#bytes += tailCost(tail);
    this.#rememberEmpty(tail);
    return tail;
  }

  #rememberId(id: string, entry: Entry): void {
    const name = id.trim();
    const entries = this.#ids.get(name);
    if (entries === undefined) this.#ids.set(name, [entry]);
    else entries.push(entry);
  }

  #forgetId(id: string, entry: Entry): void {
    const name = id.trim();
    const entries = this.#ids.get(name);
    if (entries === undefined) return;
    entries.splice(entries.indexOf(entry), 1);
    if (entries.length === 0) this.#ids.delete(name);
  }

  /** Lets go of the oldest entry of all. */
  #dropOldest(reason: LossReason): void {
    const entry = this.#oldest!;
    for (const key of entry.keys) {
      const tail = this.#tails.get(key);
      if (tail?.oldest === entry) tail.shift();
    }
    this.#forget(entry, reason);
  }

  /** Lets go of the oldest entry of a key, but not of its other keys. */
  #trim(tail: Tail): void {
    const entry = tail.stray();
    if (--entry.holders === 0) this.#forget(entry, 'evicted');
  }

  #forget(entry: Entry, reason: LossReason): void {
    if (entry.older === undefined) this.#oldest = entry.newer;
    else entry.older.newer = entry.newer;
    if (entry.newer === undefined) this.#newest = entry.older;
    else entry.newer.older = entry.older;
    entry.older = entry.newer = undefined;
    if (entry.id !== undefined) this.#forgetId(entry.id, entry);
    this.#count--;
    this.#bytes -= cost(entry);
    this.#shared = undefined;
    for (const key of entry.keys) {
      const tail = this.#tails.get(key);
      if (tail === undefined) continue;
      tail.lose(entry, reason);
      if (tail.isEmpty) this.#rememberEmpty(tail);
    }
  }

  #rememberEmpty(tail: Tail): void {
    this.#longTails.delete(tail);
    this.#emptyTails.add(tail);
    this.#bytes -= tailCost(tail);
    if (this.#emptyTails.size <= MAX_EMPTY_TAILS) return;
    const [first] = this.#emptyTails;
    this.#emptyTails.delete(first!);
    this.#tails.delete(first!.key);
    this.#forgotten = {
      lost: newer(this.#forgotten.lost, first!.lost),
      lostInOrder: furthest(this.#forgotten.lostInOrder, first!.lostInOrder),
    };
  }

  #epochOf(term: number): string {
    for (const [epoch, its] of this.#terms) if (its.term === term) return epoch;
    return this.#epoch;
  }
}

/** Whether a reader was given a message that is theirs. */
export function hasTaken(
  { position, throttle }: Reader,
  message: { readonly offset: number; readonly keys: readonly string[] },
): boolean {
  return position >= message.offset && throttle?.hasSent(message) !== false;
}

function join(frames: readonly Buffer[]): Buffer | undefined {
  return frames.length > 1 ? Buffer.concat(frames) : frames[0];
}

function cost(entry: Entry): number {
  return ENTRY_BYTES + entry.frame.length + PLACE_BYTES * entry.keys.length;
}

function tailCost(tail: Tail): number {
  return TAIL_BYTES + tail.key.length;
}

function isAfter(a: { term: number; seq: number }, b: { term: number; seq: number }): boolean {
  return a.term > b.term || (a.term === b.term && a.seq > b.seq);
}

function newer<T extends { offset: number }>(a: T | undefined, b: T | undefined): T | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a.offset >= b.offset ? a : b;
}

function note(gaps: Map<Gap['reason'], string[]>, reason: Gap['reason'], key: string): void {
  const keys = gaps.get(reason);
  if (keys === undefined) gaps.set(reason, [key]);
  else keys.push(key);
}

function toGaps(gaps: Map<Gap['reason'], string[]>): Gap[] {
  return [...gaps].map(([reason, keys]) => ({ reason, keys }));
}
