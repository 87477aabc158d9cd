import { isMailbox, isRunKey } from '../message/keys';
import { frameBytes } from '../message/frame';
import type { Bounds, SseMailbox } from '../options/options';
import type { Handover, LossReason, Losses, Message, PlacedMessage, RunPart } from '../order/broker';
import { toCursor, type Position } from '../order/cursor';
import { Archive } from './archive';
import { Chain, keyCost, weigh, type Entry } from './entry';
import { Epochs } from './epochs';
import { Mailboxes } from './mailboxes';
import { OwnIds } from './own_ids';
import { belongs, Tails, type RunState, type Tail } from './tails';
import type { TakenMail } from './taken_mail';

const NOTHING: Bounds = { age: 0, count: 0, bytes: 0 };
const NOBODY: Pick<TakenMail, 'take' | 'tell'> = { take: () => undefined, tell: () => undefined };

/** What of a log's keys is kept, and for how long. */
export interface LogOptions {
  readonly history: Bounds;
  readonly mailbox?: SseMailbox | false;
  readonly runs?: Bounds | false;
  /** What the other processes are told of mail that is taken here. Left out: nothing. */
  readonly taken?: Pick<TakenMail, 'take' | 'tell'>;
  /** ms of a monotonic clock. */
  readonly now?: () => number;
}

/**
 * What this process delivered, in order, by key, as long as it is kept; and what is known of what is not kept any more.
 *
 * Never holds more than `bytes` and one message. Lets go by `count` and `age` only of what was settled, so that a burst
 * reaches every client that keeps up. Mailboxes and runs are archived: they are kept longer.
 */
export class Log {
  readonly #bounds: Bounds;
  readonly now: () => number;
  readonly tails: Tails;
  readonly ids = new OwnIds();
  readonly epochs = new Epochs();
  readonly mailboxes: Mailboxes;
  /** Tails with more than `count` entries. */
  readonly #longTails = new Set<Tail>();
  #head = 0;
  #settled = 0;
  #lostThrough = 0;
  readonly #history = new Chain<Entry>();
  #bytes = 0;
  readonly #mail: Archive;
  readonly #runs: Archive;
  readonly #archives: readonly Archive[];

  constructor({ history, mailbox = false, runs = false, taken = NOBODY, now = () => performance.now() }: LogOptions) {
    this.#bounds = history;
    this.now = now;
    this.#mail = new Archive(mailbox || NOTHING, (key) => mailbox !== false && isMailbox(mailbox.keys, key));
    this.#runs = new Archive(runs || NOTHING, (key) => runs !== false && isRunKey(key));
    this.#archives = [this.#mail, this.#runs];
    this.tails = new Tails((key) => this.#archives.find((archive) => archive.keeps(key)));
    this.mailboxes = new Mailboxes({ archive: this.#mail, tails: this.tails, epochs: this.epochs, now, taken });
  }

  /** The offset of the newest entry. */
  get head(): number {
    return this.#head;
  }

  /** The highest offset of anything that some key has lost. */
  get lostThrough(): number {
    return this.#lostThrough;
  }

  /** What is kept: messages of the history and the bytes they are counted as, the same of archived mail and runs, and keys. */
  get size(): Record<
    'messages' | 'bytes' | 'mailMessages' | 'mailBytes' | 'runMessages' | 'runBytes' | 'keys',
    number
  > {
    return {
      messages: this.#history.length,
      bytes: this.#bytes,
      mailMessages: this.#mail.entries.length,
      mailBytes: this.#mail.bytes,
      runMessages: this.#runs.entries.length,
      runBytes: this.#runs.bytes,
      keys: this.tails.size,
    };
  }

  /** The ones of some keys that are of runs. */
  runsOf(keys: readonly string[]): string[] {
    return this.#runs.keysOf(keys);
  }

  /** How far the newest run of a key has come, as long as something of it is kept. */
  runOf(key: string): RunState | undefined {
    return this.tails.get(key)?.run;
  }

  /** The newest place in the order; `undefined` before there is an order. */
  get place(): Position | undefined {
    return this.epochs.position;
  }

  /** The cursor of the newest place in the order. */
  get cursor(): string | undefined {
    return this.place === undefined ? undefined : toCursor(this.place);
  }

  /** Says which epoch the order is in, so that cursors can be given before its first message. */
  begin(position: Position): void {
    this.epochs.begin(position);
  }

  /** Takes the next message. Of what its run has no place for, as after the run's end, it takes the place alone. */
  append(message: Message, position?: Position): Entry | undefined {
    const { keys, body, id, event, nonce, act, run, age = 0 } = message;
    if (position !== undefined) this.begin(position);
    if (run !== undefined && !belongs(run, this.runOf(keys[0]!), this.epochs)) return undefined;
    const archive = this.#archiveOf(run);
    const bodyBytes = Buffer.byteLength(body);
    const entry: Entry = {
      offset: ++this.#head,
      keys,
      body,
      id,
      bytes: frameBytes(bodyBytes, id ?? (position && toCursor(position))),
      weight: weigh(keys, body, bodyBytes),
      event,
      nonce,
      act,
      run,
      term: this.epochs.term,
      seq: this.epochs.seq,
      inOrder: position !== undefined,
      appendedAt: this.now() - age,
      holders: keys.length,
      waits: position === undefined ? undefined : this.#waitsOf(archive.keysOf(keys), run),
      archivedFor: undefined,
      doneAt: 0,
      older: undefined,
      newer: undefined,
    };
    this.#history.push(entry);
    this.#bytes += entry.weight;
    if (entry.waits !== undefined) archive.waiting.add(entry);
    for (const key of keys) {
      const tail = this.tails.for(key);
      tail.push(entry);
      this.#weigh(tail);
      if (run?.is === 'start') tail.run = { start: entry, newest: entry };
      else if (run !== undefined) (tail.run ??= { start: undefined, newest: entry }).newest = entry;
      if (tail.length > this.#limitOf(tail)) this.#longTails.add(tail);
      if (entry.waits?.has(key) === true && ++tail.waiting > archive.bounds.count) archive.full.add(key);
    }
    if (id !== undefined) this.ids.add(id, entry);
    while (this.#bytes > this.#bounds.bytes && this.#history.oldest !== entry) this.#dropOldest('evicted');
    return entry;
  }

  /** Of a run there are many with the same key, and they share what says so. */
  #waitsOf(archived: readonly string[], run: RunPart | undefined): Set<string> | undefined {
    if (archived.length === 0) return undefined;
    const others = run === undefined ? undefined : this.runOf(archived[0]!)?.newest.waits;
    return others ?? new Set(archived);
  }

  /** Says that every reader who keeps up has everything through this offset; lets go of what is over the bounds. */
  settle(through: number): void {
    this.#settled = through;
    for (const tail of this.#longTails) {
      const limit = this.#limitOf(tail);
      while (tail.length > limit && tail.oldest!.offset <= through) this.#trim(tail);
      if (tail.length <= limit) this.#longTails.delete(tail);
    }
    for (const archive of this.#archives) for (const key of archive.full) this.#emptyOver(key, archive, through);
    this.expire();
  }

  /** Lets go of what is older than `age`, of mail that has waited for too long, and of runs whose lifetime is over. */
  expire(): void {
    const now = this.now();
    const horizon = now - this.#bounds.age;
    for (;;) {
      const { oldest } = this.#history;
      if (oldest === undefined || oldest.appendedAt >= horizon || oldest.offset > this.#settled) break;
      this.#dropOldest('expired');
    }
    for (const { done, waiting, bounds } of this.#archives) {
      for (const entry of done) {
        if (entry.doneAt >= horizon) break;
        this.#forget(entry, entry.archivedFor!);
      }
      for (const entry of waiting) {
        if (entry.appendedAt >= now - bounds.age || entry.offset > this.#settled) break;
        for (const key of entry.waits!) this.#lapse(entry, key, 'expired');
      }
    }
  }

  /** Whether an entry has a place in the order. */
  isAt(entry: Entry, { epoch, seq }: Position): boolean {
    return this.epochs.get(epoch)?.term === entry.term && entry.seq === seq;
  }

  /** What it has of the present epoch after a place, for a process that has not. */
  handover(seq: number): Handover {
    return {
      position: this.place!,
      losses: this.tails.lossesOf(this.epochs.term),
      messages: { [Symbol.iterator]: () => this.#messagesAfter(seq) },
      mail: this.mailboxes.mail,
    };
  }

  /**
   * Takes over what is lost of an order that this log joins or missed a part of, or of an epoch that it followed before;
   * what is kept is appended afterwards. Readers that are behind are told.
   */
  lose(epoch: string, { keys, others }: Losses): void {
    if (this.epochs.get(epoch) === undefined) this.begin({ epoch, seq: 0 });
    const { term, seq: heard } = this.epochs.get(epoch)!;
    const offset = this.#head + 1;
    if (this.tails.loseElsewhere({ keys, others }, { offset, term, heard })) this.#head = this.#lostThrough = offset;
  }

  /** What keeps an entry when it leaves the history. */
  #archiveOf(run: RunPart | undefined): Archive {
    return run === undefined ? this.#mail : this.#runs;
  }

  /** What is kept of the present epoch after a place in it, oldest first. */
  *#messagesAfter(seq: number): Generator<PlacedMessage> {
    const archived = this.#archives.flatMap(({ entries }) => [...entries]).sort((a, b) => a.offset - b.offset);
    for (const entries of [archived, this.#history]) {
      for (const entry of entries) {
        if (entry.inOrder && entry.term === this.epochs.term && entry.seq > seq)
          yield toMessage(entry, { now: this.now(), mail: this.#mail });
      }
    }
  }

  /** Gives up waiting for someone to take a message from a mailbox, or keeping it for a run. */
  #lapse(entry: Entry, key: string, reason: LossReason): void {
    if (!this.#release(entry, this.tails.get(key)!)) return;
    this.mailboxes.lose(entry, key, reason);
    if (entry.archivedFor !== undefined && entry.waits === undefined) this.#forget(entry, reason);
  }

  #release(entry: Entry, tail: Tail): boolean {
    return this.#archiveOf(entry.run).release(entry, tail, this.now());
  }

  /** Lets go of the oldest messages of a mailbox or a run that has too many. */
  #emptyOver(key: string, { bounds, full }: Archive, through: number): void {
    const tail = this.tails.get(key)!;
    for (let i = 0; tail.waiting > bounds.count;) {
      const entry = tail.at(i);
      if (entry === undefined || entry.offset > through) return;
      this.#lapse(entry, key, 'evicted');
      if (tail.at(i) === entry) i++;
    }
    full.delete(key);
  }

  /** How many entries a tail may have: of a mailbox or a run, what waits is bounded by itself. */
  #limitOf({ archive }: Tail): number {
    return this.#bounds.count + (archive?.bounds.count ?? 0);
  }

  /** Counts a tail among the bytes of the history as long as something of it is kept. */
  #weigh(tail: Tail): void {
    if (tail.isOfHistory === tail.isWeighed) return;
    tail.isWeighed = !tail.isWeighed;
    const bytes = keyCost(tail.key);
    this.#bytes += tail.isWeighed ? bytes : -bytes;
  }

  /** Lets go of the oldest entry of the history; what waits in mailboxes, or is of a run, is archived. */
  #dropOldest(reason: LossReason): void {
    const entry = this.#history.oldest!;
    if (entry.waits === undefined) this.#forget(entry, reason);
    else this.#archive(entry, reason);
  }

  /** Lets go of the oldest entry of a key, but not of its other keys. */
  #trim(tail: Tail): void {
    const oldest = tail.oldest!;
    if (this.#release(oldest, tail)) this.mailboxes.lose(oldest, tail.key, 'evicted');
    if (oldest.archivedFor !== undefined) tail.archived--;
    this.#lostThrough = Math.max(this.#lostThrough, oldest.offset);
    const entry = tail.stray();
    if (--entry.holders === 0) this.#forget(entry, 'evicted');
  }

  /** Archives an entry that leaves the history for the mailboxes in which it waits, or for its run. */
  #archive(entry: Entry, reason: LossReason): void {
    const archive = this.#archiveOf(entry.run);
    this.#history.remove(entry);
    this.#bytes -= entry.weight;
    archive.add(entry, reason);
    this.#lostThrough = Math.max(this.#lostThrough, entry.offset);
    for (const key of entry.keys) {
      const tail = this.tails.get(key);
      if (tail === undefined) continue;
      if (tail.archive === archive) {
        if (!tail.strays.has(entry)) tail.archived++;
      } else {
        if (tail.remove(entry)) entry.holders--;
        tail.lose(entry, reason);
      }
      this.#weigh(tail);
      if (tail.isEmpty) this.#rememberEmpty(tail);
    }
    while (archive.bytes > archive.bounds.bytes) this.#forget(archive.entries.oldest!, 'evicted');
  }

  #forget(entry: Entry, reason: LossReason): void {
    const isArchived = entry.archivedFor !== undefined;
    const archive = this.#archiveOf(entry.run);
    if (isArchived) {
      archive.remove(entry);
    } else {
      this.#history.remove(entry);
      this.#bytes -= entry.weight;
    }
    if (entry.id !== undefined) this.ids.delete(entry.id, entry);
    this.#lostThrough = Math.max(this.#lostThrough, entry.offset);
    archive.waiting.delete(entry);
    // The keys that do not archive it lost it when it left the history.
    for (const key of isArchived ? archive.keysOf(entry.keys) : entry.keys) {
      const tail = this.tails.get(key);
      if (tail === undefined) continue;
      if (entry.waits?.has(key) === true) {
        tail.waiting--;
        this.mailboxes.lose(entry, key, reason);
      }
      if (tail.remove(entry) && isArchived) tail.archived--;
      tail.lose(entry, reason);
      this.#weigh(tail);
      if (tail.isEmpty) this.#rememberEmpty(tail);
    }
    entry.waits = undefined;
  }

  #rememberEmpty(tail: Tail): void {
    this.#longTails.delete(tail);
    tail.archive?.full.delete(tail.key);
    tail.run = undefined;
    this.tails.setEmpty(tail);
  }
}

/** An entry as it is handed to another process. The keys that do not archive it lost it when it left the history. */
function toMessage(entry: Entry, { now, mail }: { now: number; mail: Archive }): PlacedMessage {
  const { keys, body, id, event, nonce, act, run, seq, waits, archivedFor, appendedAt } = entry;
  if (act !== undefined) return { keys, body, nonce, act, seq };
  const message = { keys, body, id, event, nonce, run, seq };
  if ((waits ?? archivedFor) === undefined) return message;
  const age = Math.round(now - appendedAt);
  const isWhole = run !== undefined || archivedFor === undefined;
  return { ...message, keys: isWhole ? keys : mail.keysOf(keys), age };
}
