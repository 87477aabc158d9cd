import { parseCursor, parseMailCursor, toCursor, toMailCursor } from '../order/cursor';
import type { Entry } from './entry';
import { keysLine, textOf } from './frames';
import { Gaps, NO_GAPS, type Gap } from './gaps';
import type { Batch, Reader } from './reader_state';
import { Retention } from './log';
import { isAfter, type Loss, type Tail } from './tail';
import type { LossReason } from '../order/broker';
import { Throttle, type ThrottledKeys } from './throttle';

/** Where a client was. */
interface ClientPlace {
  readonly term: number;
  readonly seq: number;
  /** From which place on something of a throttled key may have been held back. */
  readonly heldFrom: number | undefined;
  /** The entry whose own id it came with. */
  readonly entry?: Entry;
}

const NOTHING: Batch = { frames: undefined, count: 0, gaps: NO_GAPS, resumeAt: undefined, more: false, isEnd: false };

/**
 * What this process delivered, for those who read it: each from a place of their own on, of the keys that they hold.
 *
 * Reading costs what it returns, not what is kept.
 */
export class Log extends Retention {
  /** The last joined batch: readers at the same place with the same keys share its buffer. */
  #shared:
    | {
        readonly keys: readonly string[];
        readonly from: number;
        readonly head: number;
        readonly maxBytes: number;
        readonly to: number;
        /** Whether it is what all get who are there, whenever they came. */
        readonly isForAll: boolean;
        readonly batch: Batch;
      }
    | undefined;
  /** What was encoded last: whoever is to get the same gets the same buffer. */
  #encoded: { readonly text: string; readonly bytes: Buffer } | undefined;

  override settle(through: number): void {
    this.#shared = undefined;
    this.#encoded = undefined;
    super.settle(through);
  }

  /** A reader of what comes from now on. */
  readFromHead(keys: readonly string[], throttle?: Throttle): Reader {
    return this.#readFrom(this.head, keys, throttle);
  }

  /**
   * A reader of the mail that waits for its keys and of its runs from their start, then of what comes from now on; with
   * the gaps that it must be told of first: of mail that was lost before anyone took it, which is told once, and of runs
   * that are not whole.
   */
  open(keys: readonly string[], throttle?: Throttle): { reader: Reader; gaps: readonly Gap[] } {
    const reader = this.readFromHead(keys, throttle);
    const gaps = new Gaps();
    for (const key of keys) {
      const lost = this.lostMail.get(key);
      if (lost === undefined) continue;
      gaps.add(lost.reason, key);
      this.tellLost(key, lost);
    }
    for (const key of this.runsOf(keys)) {
      const reason = this.#lossOfRun(key, keys);
      if (reason !== undefined) gaps.add(reason, key);
    }
    this.#addKept(reader, keys);
    return { reader, gaps: gaps.all };
  }

  /** Whether a client of a run that is over has all that it could hear of it. */
  hasAllOfRun(lastEventId: string, key: string): boolean {
    if (this.runOf(key)?.newest.run!.is !== 'end' || !this.knows(lastEventId, [key])) return false;
    const { reader, gaps } = this.resume(lastEventId, [key]);
    const { frames, more } = this.read({ ...reader, isOfRun: true }, 1);
    return gaps.length === 0 && frames === undefined && !more;
  }

  /** Why a run is not whole; undefined when it is, or when there never was one. */
  #lossOfRun(key: string, keys: readonly string[]): LossReason | undefined {
    const tail = this.tails.get(key);
    if (tail === undefined) return undefined;
    const loss = this.tails.newestLoss(key, keys, () => true);
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
  resume(lastEventId: string, keys: readonly string[], throttle?: Throttle): { reader: Reader; gaps: readonly Gap[] } {
    const { cursor, mail } = parseMailCursor(lastEventId) ?? { cursor: lastEventId, mail: undefined };
    const place = this.#placeOf(cursor, keys);
    if (place === undefined) {
      const known = parseCursor(cursor);
      if (known === undefined || known.epoch === this.epochs.name) {
        return { reader: this.open(keys, throttle).reader, gaps: [{ reason: 'unknown', keys }] };
      }
    }
    const { term, seq } = place ?? { term: this.epochs.term, seq: 0 };
    // Where it was with its mail, if it had not come to the end of that.
    const mailPlace = place === undefined || mail === undefined ? undefined : this.epochs.placeNamed(toCursor(mail));
    const gaps = new Gaps();
    const told = new Map<string, number>();
    let position = this.head;
    for (const key of keys) {
      const tail = this.tails.get(key);
      if (place === undefined) {
        gaps.add('restarted', key);
      } else {
        const isHeld = throttle?.throttles(key) === true && place.entry === undefined;
        const seen = isHeld && place.heldFrom !== undefined ? { term, seq: place.heldFrom - 1 } : place;
        const after = (tail?.keep !== undefined && mailPlace) || seen;
        const loss = this.tails.newestLoss(key, keys, (lost, inOrder) => inOrder && isAfter(lost, after));
        if (loss !== undefined && !this.#isMadeUpFor(key, loss, throttle)) gaps.add(loss.reason, key);
      }
      // All that is lost now was just told, or lies before the reader's place.
      const lost = this.tails.newestLoss(key, keys, () => true);
      if (lost !== undefined) told.set(key, lost.offset);
      const first = tail?.at(tail.indexAfterPlace(term, seq));
      if (first !== undefined) position = Math.min(position, first.offset - 1);
    }
    throttle?.resume(place === undefined ? [] : this.#heldAt(place, keys, throttle));
    const reader: Reader = { ...this.#readFrom(position, keys, throttle), told };
    if (place !== undefined) this.#takeSeen(place, keys);
    if (mailPlace !== undefined) {
      this.#takeSeen(mailPlace, keys);
      this.#moveBack(reader, cursor, (tail) => tail.at(tail.indexAfterPlace(mailPlace.term, mailPlace.seq)));
    }
    return { reader, gaps: gaps.all };
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
    const { keys, position: liveFrom, throttle, showsKeys, isOfRun } = reader;
    if (lastEventId === undefined) {
      // What was published since it came is among what came just now, nobody knows from where on.
      const { reader: opened } = this.open(keys, throttle);
      Object.assign(reader, opened, { liveFrom, showsKeys, isOfRun });
      return [{ reason: 'unknown', keys }];
    }
    const { reader: seated, gaps } = this.resume(lastEventId, keys, throttle);
    Object.assign(reader, seated, { liveFrom, showsKeys, isOfRun });
    return gaps;
  }

  /** Gives a reader other keys: those that are new to it, from now on, with the mail that waits for them and their runs. */
  rekey(reader: Reader, keys: readonly string[], throttled?: ThrottledKeys): void {
    const since = new Map(reader.since);
    const starts = new Map(reader.starts);
    const added = keys.filter((key) => !reader.keys.includes(key));
    for (const key of added) {
      since.set(key, this.head);
      starts.set(key, this.head);
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
    if (reader.seated) this.#addKept(reader, added);
  }

  /** Whether a last event id says where a client of these keys was. */
  knows(lastEventId: string, keys: readonly string[]): boolean {
    return this.#placeOf(parseMailCursor(lastEventId)?.cursor ?? lastEventId, keys) !== undefined;
  }

  /** The cursor of a reader's place: resuming from it reads on exactly there. */
  cursorAt(reader: Reader): string | undefined {
    const place = this.#placeAt(reader);
    const { throttle, floor } = reader;
    if (place === undefined) return undefined;
    if (floor !== undefined && place.offset <= floor.offset) {
      return toMailCursor(floor.cursor, this.#cursorOf(place, []));
    }
    if (throttle === undefined) return this.#cursorOf(place, []);
    // From now on its client has an id as new as that.
    throttle.given = Math.max(throttle.given, reader.position);
    return this.#cursorOf(place, throttle.held);
  }

  /** The cursor of a place, for a client from whom some entries are held back. Oldest first. */
  #cursorOf({ term, seq }: { term: number; seq: number }, held: readonly Entry[]): string {
    const epoch = this.epochs.nameOf(term);
    const oldest = held.find((entry) => entry.inOrder && entry.term === term && entry.seq <= seq);
    return oldest === undefined ? toCursor({ epoch, seq }) : toCursor({ epoch, seq, heldFrom: oldest.seq });
  }

  /** Where a reader is in the order, and the offset of what comes next. */
  #placeAt(reader: Reader): { term: number; seq: number; offset: number } | undefined {
    let first: Entry | undefined;
    for (const key of reader.keys) {
      const tail = this.tails.get(key);
      if (tail === undefined) continue;
      const from = Math.max(reader.position, reader.since?.get(key) ?? 0);
      for (let i = tail.indexAfter(from); i < tail.length; i++) {
        const entry = tail.at(i)!;
        if (!entry.inOrder || this.#isPassedOver(entry, key, reader)) continue;
        if (first === undefined || entry.offset < first.offset) first = entry;
        break;
      }
    }
    if (first !== undefined) return { term: first.term, seq: first.seq - 1, offset: first.offset };
    const offset = Number.POSITIVE_INFINITY;
    return this.place === undefined ? undefined : { term: this.epochs.term, seq: this.epochs.seq, offset };
  }

  /**
   * Reads what comes after a reader's position, up to `maxBytes` but at least one message, and moves the reader on.
   *
   * What is lost in between comes as gaps, each told once.
   */
  read(reader: Reader, maxBytes: number): Batch {
    const { throttle, position, liveFrom } = reader;
    if (position === this.head && throttle === undefined) return NOTHING;
    const gaps = reader.seated ? this.#gapsOf(reader) : NO_GAPS;
    if (throttle !== undefined) return this.#readThrottled(reader, throttle, { maxBytes, gaps });
    const shared = this.#shared;
    if (
      shared === undefined ||
      shared.keys !== reader.keys ||
      shared.from !== position ||
      shared.head !== this.head ||
      shared.maxBytes !== maxBytes ||
      gaps.length > 0 ||
      !reader.seated ||
      reader.since !== undefined ||
      reader.mail !== undefined ||
      !(shared.isForAll || position >= liveFrom)
    ) {
      return this.#readAnew(reader, { maxBytes, gaps });
    }
    this.#moveOn(reader, shared.to, shared.batch.more);
    return shared.batch;
  }

  #moveOn(reader: Reader, position: number, more: boolean): void {
    reader.position = position;
    if (!more) reader.told = reader.since = reader.mail = reader.floor = undefined;
  }

  #readFrom(position: number, keys: readonly string[], throttle: Throttle | undefined): Reader {
    if (throttle !== undefined) throttle.given = position;
    return {
      keys,
      position,
      liveFrom: this.head,
      seated: true,
      from: position,
      starts: undefined,
      since: undefined,
      told: undefined,
      mail: undefined,
      floor: undefined,
      throttle,
      showsKeys: false,
      isOfRun: false,
    };
  }

  #readAnew(reader: Reader, { maxBytes, gaps }: { maxBytes: number; gaps: readonly Gap[] }): Batch {
    const { keys, position: from, liveFrom, since, mail, floor } = reader;
    const resumeAt = gaps.length === 0 ? undefined : this.cursorAt(reader);
    const { entries, more, isForAll } = this.#merge(reader, maxBytes);
    this.#moveOn(reader, more ? entries.at(-1)!.offset : this.head, more);
    const frames = this.#encode(textOf(reader, entries, (entry) => this.#idFor(entry, floor)));
    const isEnd = reader.isOfRun && entries.some(({ run }) => run?.is === 'end');
    const batch: Batch = { frames, count: entries.length, gaps, resumeAt, more, isEnd };
    const isShareable = gaps.length === 0 && reader.seated && since === undefined && mail === undefined;
    if (isShareable && (isForAll || from >= liveFrom)) {
      this.#shared = { keys, from, head: this.head, maxBytes, to: reader.position, isForAll, batch };
    }
    return batch;
  }

  #readThrottled(
    reader: Reader,
    throttle: Throttle,
    { maxBytes, gaps }: { maxBytes: number; gaps: readonly Gap[] },
  ): Batch {
    const { liveFrom, since } = reader;
    const now = this.now();
    const resumeAt = gaps.length === 0 ? undefined : this.cursorAt(reader);
    // Where its client is, as far as it knows: what was held back goes out under that.
    const place = throttle.isHolding ? this.#placeAt(reader) : undefined;
    const { entries, more } = this.#merge(reader, maxBytes);
    const { floor } = reader;
    // Mail waits for as long as it has to: it is not throttled.
    const mail = floor === undefined ? [] : entries.filter(({ offset }) => offset <= floor.offset);
    const leaving: Entry[] = [];
    for (const entry of entries.slice(mail.length)) {
      leaving.push(...throttle.take(entry, { isLive: entry.offset > liveFrom, since, now }));
    }
    this.#moveOn(reader, more ? entries.at(-1)!.offset : this.head, more);
    const isLate = throttle.isHolding && reader.floor === undefined && (!more || reader.position >= liveFrom);
    if (isLate) leaving.push(...throttle.release(now, maxBytes));
    leaving.sort((a, b) => a.offset - b.offset);
    const text = textOf(reader, [...mail, ...leaving], (entry, i) =>
      i < mail.length
        ? this.#idFor(entry, floor)
        : this.#lateIdFor(entry, { leaving, i: i - mail.length, throttle, place }),
    );
    const isMoreDue = isLate && throttle.isDue(now);
    const count = mail.length + leaving.length;
    return { frames: this.#encode(text), count, gaps, resumeAt, more: more || isMoreDue, isEnd: false };
  }

  /** An entry's id for a throttled reader: it never takes its client back, nor past what is held back from it. */
  #lateIdFor(
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
  ): string | undefined {
    if (!entry.inOrder) return this.#idOf(entry);
    if (entry.offset <= throttle.given && place !== undefined) {
      const late = [...throttle.held, ...leaving.slice(i + 1)].sort((a, b) => a.offset - b.offset);
      return this.#cursorOf(place, late);
    }
    throttle.given = entry.offset;
    // The publisher's own id goes out as given: whoever comes back with it gets the newest of all throttled keys.
    if (entry.id !== undefined || !throttle.isHolding) return this.#idOf(entry);
    return this.#cursorOf(entry, throttle.held);
  }

  /** What may have been held back from a client of some keys who comes back to a place, oldest first. */
  #heldAt({ term, seq, heldFrom, entry: own }: ClientPlace, keys: readonly string[], throttle: Throttle): Entry[] {
    if (heldFrom === undefined) return [];
    const held = new Set<Entry>();
    // What the client has for sure; nothing older of its keys is to come after it.
    const seen: Entry[] = [];
    for (const key of keys) {
      const tail = throttle.throttles(key) ? this.tails.get(key) : undefined;
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
    const tail = throttle?.throttles(key) === true ? this.tails.get(key) : undefined;
    if (tail === undefined) return false;
    let index = tail.length - 1;
    while (tail.at(index)?.inOrder === false) index--;
    return index >= 0 && isAfter(tail.at(index)!, loss);
  }

  #gapsOf(reader: Reader): readonly Gap[] {
    // Most readers are past all that is lost.
    if (reader.position >= this.lostThrough) return NO_GAPS;
    const gaps = new Gaps();
    for (const key of reader.keys) {
      const known = Math.max(reader.position, reader.since?.get(key) ?? 0, reader.told?.get(key) ?? 0);
      const loss = this.tails.newestLoss(
        key,
        reader.keys,
        ({ offset }, inOrder) => offset > known && (inOrder || offset > reader.liveFrom),
      );
      if (loss === undefined || this.#isMadeUpFor(key, loss, reader.throttle)) continue;
      gaps.add(loss.reason, key);
      reader.told ??= new Map();
      reader.told.set(key, loss.offset);
    }
    return gaps.all;
  }

  /** The entries of all of a reader's keys after its position, in order, each once. What is mail is taken by that. */
  #merge(reader: Reader, maxBytes: number): { entries: Entry[]; more: boolean; isForAll: boolean } {
    const { keys, position, liveFrom, seated, since } = reader;
    const sources: { tail: Tail; index: number }[] = [];
    for (const key of keys) {
      const tail = this.tails.get(key);
      if (tail === undefined) continue;
      const index = tail.indexAfter(Math.max(position, since?.get(key) ?? 0));
      const source = { tail, index };
      this.#passOver(source, reader);
      if (source.index < tail.length) sources.push(source);
    }
    const entries: Entry[] = [];
    let bytes = 0;
    let isForAll = true;
    for (;;) {
      let next: Entry | undefined;
      for (const { tail, index } of sources) {
        const entry = tail.at(index);
        if (entry !== undefined && (next === undefined || entry.offset < next.offset)) next = entry;
      }
      if (next === undefined) return { entries, more: false, isForAll };
      // Without a place in the order it is live only: whoever resumes may have seen it.
      const theirs = next.inOrder ? seated : next.offset > liveFrom;
      isForAll &&= next.inOrder;
      if (theirs) {
        bytes += next.bytes + (reader.showsKeys ? Buffer.byteLength(keysLine(next, keys)) : 0);
        if (bytes > maxBytes && entries.length > 0) return { entries, more: true, isForAll };
        entries.push(next);
      }
      for (const source of sources) {
        if (source.tail.at(source.index) !== next) continue;
        source.index++;
        this.#passOver(source, reader);
        if (theirs && this.isMailbox(source.tail)) this.takeHere(next, source.tail.key);
      }
    }
  }

  /** Moves a source on to what is the reader's: of mail, only what waits. */
  #passOver(source: { readonly tail: Tail; index: number }, reader: Reader): void {
    if (reader.mail === undefined) return;
    for (;;) {
      const entry = source.tail.at(source.index);
      if (entry === undefined || !this.#isPassedOver(entry, source.tail.key, reader)) return;
      source.index++;
    }
  }

  #isPassedOver(entry: Entry, key: string, { mail }: Reader): boolean {
    const until = mail?.get(key);
    return until !== undefined && entry.offset <= until && entry.waits?.has(key) !== true;
  }

  /** An entry's id for a reader; that of mail from before it came says where it is with everything else. */
  #idFor(entry: Entry, floor: Reader['floor']): string | undefined {
    if (floor === undefined || entry.offset > floor.offset || entry.id !== undefined) return this.#idOf(entry);
    return toMailCursor(floor.cursor, this.#cursorOf(entry, []));
  }

  #idOf(entry: Entry): string | undefined {
    return entry.id ?? (entry.inOrder ? this.#cursorOf(entry, []) : undefined);
  }

  #encode(text: string): Buffer | undefined {
    if (text === '') return undefined;
    if (this.#encoded?.text !== text) this.#encoded = { text, bytes: Buffer.from(text) };
    return this.#encoded.bytes;
  }

  /** Gives a reader the mail that waits for some of its keys, and those of them that are runs from their start. */
  #addKept(reader: Reader, keys: readonly string[]): void {
    const boxes = this.mailboxesOf(keys).filter((key) => (this.tails.get(key)?.waiting ?? 0) > 0);
    const runs = this.runsOf(keys).filter((key) => this.tails.has(key));
    if (boxes.length + runs.length === 0) return;
    reader.mail = new Map(reader.mail);
    reader.told = new Map(reader.told);
    for (const key of boxes) reader.mail.set(key, this.head);
    for (const key of [...boxes, ...runs]) {
      // It was not owed what others took before, and has been told of what its runs have lost.
      const lost = this.tails.newestLoss(key, reader.keys, () => true);
      if (lost !== undefined) reader.told.set(key, lost.offset);
    }
    const cursor = this.cursorAt(reader);
    // Without an order there is nothing to give.
    if (cursor === undefined) return;
    this.#moveBack(reader, cursor, (tail) => {
      if (boxes.includes(tail.key)) return tail.firstWaiting;
      return runs.includes(tail.key) ? tail.firstOfRun : undefined;
    });
  }

  /** Moves a reader back to what is kept of some keys, but with no other key; `cursor` says where it is with those. */
  #moveBack(reader: Reader, cursor: string, firstOf: (tail: Tail) => Entry | undefined): void {
    const since = new Map<string, number>();
    let { position } = reader;
    for (const key of reader.keys) {
      const tail = this.tails.get(key);
      const first = tail?.keep === undefined ? undefined : firstOf(tail);
      const known = Math.max(reader.position, reader.since?.get(key) ?? 0);
      const from = first === undefined ? known : Math.min(known, first.offset - 1);
      since.set(key, from);
      position = Math.min(position, from);
    }
    reader.floor ??= { offset: reader.position, cursor };
    reader.since = since;
    reader.position = position;
  }

  /** A client that names the place of a message has got it, though whoever wrote it may have died before it said so. */
  #takeSeen({ term, seq }: { term: number; seq: number }, keys: readonly string[]): void {
    for (const key of this.mailboxesOf(keys)) {
      const entry = this.tails.get(key)?.atPlace(term, seq);
      if (entry !== undefined) this.takeHere(entry, key);
    }
  }

  #placeOf(lastEventId: string, keys: readonly string[]): ClientPlace | undefined {
    // An id given twice means the older: its client gets some messages again, rather than never.
    const entry = this.ids.find(lastEventId, keys);
    // An id of the publisher's does not say what was held back: all may have been.
    if (entry !== undefined) return { term: entry.term, seq: entry.seq, heldFrom: 0, entry };
    const position = parseCursor(lastEventId);
    if (position === undefined) return undefined;
    const term = this.epochs.get(position.epoch)?.term;
    if (term === undefined || (term === this.epochs.term && position.seq > this.epochs.seq)) return undefined;
    return { term, seq: position.seq, heldFrom: position.heldFrom };
  }
}
