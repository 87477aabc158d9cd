import type { LossReason, Mail } from '../order/broker';
import { toCursor } from '../order/cursor';
import type { Archive } from './archive';
import type { Entry } from './entry';
import { isAfter, type Epochs, type Rank } from './epochs';
import type { Tails } from './tails';
import type { TakenMail } from './taken_mail';

// The number of mailboxes that are remembered for mail that was lost before it was taken. The oldest loss is forgotten.
const MAX_LOST = 16_384;

/** The newest message that a mailbox has lost. */
interface LostMail extends Rank {
  readonly reason: LossReason;
}

/** The mail that waits, and the mail that was lost before it was taken, as long as no client was told. */
export class Mailboxes {
  readonly #archive: Archive;
  readonly #tails: Tails;
  readonly #epochs: Epochs;
  readonly #now: () => number;
  /** Tells the other processes. */
  readonly #taken: Pick<TakenMail, 'take' | 'tell'>;
  /** By mailbox, the newest message that was lost. */
  readonly #lost = new Map<string, LostMail>();

  constructor(parts: {
    archive: Archive;
    tails: Tails;
    epochs: Epochs;
    now: () => number;
    taken: Pick<TakenMail, 'take' | 'tell'>;
  }) {
    this.#archive = parts.archive;
    this.#tails = parts.tails;
    this.#epochs = parts.epochs;
    this.#now = parts.now;
    this.#taken = parts.taken;
  }

  /** The mailboxes among some keys. */
  of(keys: readonly string[]): readonly string[] {
    return this.#archive.keysOf(keys);
  }

  /** Whether a key is that of a mailbox. */
  has(key: string): boolean {
    return this.#archive.keeps(key);
  }

  /** Takes a message from a mailbox: a connection of this process that holds the key has it. */
  take(entry: Entry, key: string): void {
    if (this.#release(entry, key)) {
      this.#taken.take(key, this.#cursorOf(entry));
      return;
    }
    const lost = this.#lost.get(key);
    if (lost?.term === entry.term && lost.seq === entry.seq) this.#tell(key, lost);
  }

  /** Hears that a message was taken, here or in another process. */
  onTaken(key: string, cursor: string): void {
    const { term, seq } = this.#epochs.rankNamed(cursor) ?? { term: 0, seq: 0 };
    const entry = this.#tails.get(key)?.atPlace(term, seq);
    if (entry !== undefined) this.#release(entry, key);
    const lost = this.#lost.get(key);
    if (lost?.term === term && lost.seq === seq) this.#lost.delete(key);
  }

  /** Why mail of a key is lost, for a client that is told now; undefined when none is, or when a client was told. */
  tellLost(key: string): LossReason | undefined {
    const lost = this.#lost.get(key);
    if (lost !== undefined) this.#tell(key, lost);
    return lost?.reason;
  }

  /** Hears that a client was told of a mailbox's losses up to a place: older mail that waits here comes too late. */
  onTold(key: string, cursor: string): void {
    const place = this.#epochs.rankNamed(cursor);
    const lost = this.#lost.get(key);
    if (place === undefined) return;
    if (lost !== undefined && !isAfter(lost, place)) this.#lost.delete(key);
    this.#releaseThrough(key, place);
  }

  /** Remembers that mail was lost before it was taken. Losses of a run are not remembered: all its readers are told. */
  lose({ run, term, seq }: Entry, key: string, reason: LossReason): void {
    if (run === undefined) this.#add(key, { term, seq, reason });
  }

  /** The mail of the present epoch. */
  get mail(): Mail {
    const { term, name, seq: last } = this.#epochs;
    const waiting = new Map<string, number[]>();
    for (const entry of this.#archive.waiting) {
      if (entry.term !== term) continue;
      for (const key of entry.waits!) {
        const seqs = waiting.get(key);
        if (seqs === undefined) waiting.set(key, [entry.seq]);
        else seqs.push(entry.seq);
      }
    }
    const lost = [...this.#lost].filter(([, each]) => each.term === term);
    return {
      epoch: name,
      first: this.#epochs.get(name)?.mailFrom ?? 0,
      last,
      waiting: [...waiting].map(([key, seqs]) => ({ key, seqs })),
      lost: lost.map(([key, { seq, reason }]) => ({ key, seq, reason })),
    };
  }

  /** Keeps of the places `first` to `last` only the mail that still waits: the rest was taken unheard by this log. */
  keepWaiting({ epoch, first, last, waiting, lost }: Mail): void {
    const known = this.#epochs.get(epoch);
    if (known === undefined) return;
    const { term, mailFrom = first } = known;
    known.mailFrom = Math.min(mailFrom, first);
    const isTold = (place: Rank): boolean => place.term === term && place.seq >= first && place.seq <= last;
    const places = new Map(waiting.map(({ key, seqs }) => [key, new Set(seqs)]));
    for (const entry of this.#archive.waiting) {
      if (!isTold(entry)) continue;
      for (const key of entry.waits!) if (places.get(key)?.has(entry.seq) !== true) this.#release(entry, key);
    }
    for (const [key, each] of this.#lost) if (isTold(each)) this.#lost.delete(key);
    for (const { key, seq, reason } of lost) this.#add(key, { term, seq, reason });
  }

  #tell(key: string, lost: LostMail): void {
    this.#lost.delete(key);
    this.#releaseThrough(key, lost);
    this.#taken.tell(key, this.#cursorOf(lost));
  }

  #add(key: string, lost: LostMail): void {
    const known = this.#lost.get(key);
    if (known !== undefined && isAfter(known, lost)) return;
    this.#lost.delete(key);
    this.#lost.set(key, lost);
    if (this.#lost.size <= MAX_LOST) return;
    const [first] = this.#lost.keys();
    this.#lost.delete(first!);
  }

  #release(entry: Entry, key: string): boolean {
    const tail = this.#tails.get(key);
    return tail !== undefined && this.#archive.release(entry, tail, this.#now());
  }

  #releaseThrough(key: string, place: Rank): void {
    const tail = this.#tails.get(key);
    if (tail === undefined) return;
    for (let i = 0; tail.waiting > 0; i++) {
      const entry = tail.at(i);
      if (entry === undefined || isAfter(entry, place)) return;
      this.#release(entry, key);
    }
  }

  #cursorOf({ term, seq }: Rank): string {
    return toCursor({ epoch: this.#epochs.nameOf(term), seq });
  }
}
