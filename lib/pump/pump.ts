import { AsyncResource } from 'node:async_hooks';
import type { Connection } from '../connection/connection';
import { toFrames, type Gap } from '../log/gaps';
import type { Readers } from '../log/readers';
import { Alarm } from './alarm';
import { Queue } from './queue';

// The more often the loop turns during a round, the more of what is published meanwhile goes out in the same writes.
const SLICE_CONNECTIONS = 64;
// A visit costs 8 µs, with a megabyte to write 500 µs: a slice blocks the loop for little more than this.
const SLICE_MS = 4;
const CLOCK_EVERY = 4;

/** A set of connections that are all to be visited. */
export type Crowd = ReadonlySet<Connection>;

/** The visits to one crowd. */
interface Round {
  readonly visits: Iterator<Connection>;
  readonly crowd: Crowd;
  /** Connections that this slice may still visit. */
  left: number;
}

/**
 * Brings connections to the head of the log, in rounds over those that may be behind. A round goes in slices: each turn
 * of the event loop visits a part of one crowd, or many small crowds.
 *
 * Messages that are published while a round runs go out in the same writes as those that started it. Never throws.
 */
export class Pump {
  readonly #readers: Readers;
  readonly #maxBatchBytes: number;
  readonly #onGap: (gap: Gap) => void;
  readonly #onPassed: (through: number) => void;
  readonly #onError: (error: unknown) => void;
  /** Connections to visit on their own account: they drained, resume, or want a ping. */
  readonly #ready = new Set<Connection>();
  /** Connections among them whose last batch was full: they are not behind, but have more to read. */
  readonly #unfinished = new Set<Connection>();
  /** Crowds to visit, and marks. At a mark's turn, connections that are not behind have all of the log up to it. */
  #queue = new Queue<Crowd | { readonly mark: number }>();
  readonly #queued = new Set<Crowd>();
  /** Wakes connections from which messages are held back. */
  readonly #alarm = new Alarm((connection) => this.wake(connection));
  #round: Round | undefined;
  #marked = false;
  #scheduled = false;
  // A slice serves all connections: it must not run in the context of the request that happened to start it.
  readonly #context = new AsyncResource('egg-sse.pump');

  constructor(
    readers: Readers,
    options: {
      maxBatchBytes: number;
      onGap: (gap: Gap) => void;
      /** Hears that connections that are not behind have all of the log through this offset. */
      onPassed: (through: number) => void;
      onError: (error: unknown) => void;
    },
  ) {
    this.#readers = readers;
    this.#maxBatchBytes = options.maxBatchBytes;
    this.#onGap = options.onGap;
    this.#onPassed = options.onPassed;
    this.#onError = options.onError;
  }

  /** Visits one connection soon. */
  wake(connection: Connection): void {
    this.#ready.add(connection);
    this.wakeAll(this.#ready);
  }

  /** Lets go of a connection that is over. */
  forget(connection: Connection): void {
    this.#alarm.delete(connection);
    this.#unfinished.delete(connection);
  }

  /** Visits every connection of a crowd soon, even one that is added meanwhile. */
  wakeAll(crowd: Crowd): void {
    if (!this.#queued.has(crowd)) {
      this.#queued.add(crowd);
      this.#queue.push(crowd);
    }
    this.#schedule();
  }

  /** Says that the log has grown: its present entries are settled after the rounds that are queued. */
  mark(): void {
    if (!this.#marked) {
      this.#marked = true;
      this.#queue.push({ mark: this.#readers.head });
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#context.runInAsyncScope(setImmediate, null, () => this.#slice());
  }

  #slice(): void {
    this.#scheduled = false;
    const start = performance.now();
    let now = start;
    if (this.#round !== undefined) this.#round.left = SLICE_CONNECTIONS;
    for (let visited = 1; ; visited++) {
      const connection = this.#next();
      if (connection === undefined) return;
      try {
        this.#visit(connection, now);
      } catch (error) {
        // The failure of one connection must not end the round of the others.
        this.#onError(error);
        connection.destroy('error');
      }
      if (--this.#round!.left === 0) break;
      if (visited % CLOCK_EVERY > 0) continue;
      now = performance.now();
      if (now - start > SLICE_MS) break;
    }
    this.#schedule();
  }

  /** The next connection to visit; settles the log at the marks on the way. */
  #next(): Connection | undefined {
    for (;;) {
      if (this.#round !== undefined) {
        const { visits, crowd } = this.#round;
        const { value, done } = visits.next();
        if (done !== true) {
          if (crowd === this.#ready) this.#ready.delete(value);
          return value;
        }
        this.#round = undefined;
      }
      const next = this.#queue.shift();
      if (next === undefined) return undefined;
      if ('mark' in next) {
        if (this.#unfinished.size > 0 && !this.#isPassed(next.mark)) {
          // The rest of an unfinished batch must not be let go of before it is read: the mark's turn comes after that.
          this.#queue.push(next);
          continue;
        }
        this.#marked = false;
        this.#readers.settle(next.mark);
        this.#onPassed(next.mark);
        if (this.#readers.head > next.mark) this.mark();
      } else {
        this.#queued.delete(next);
        this.#round = { visits: next.values(), crowd: next, left: SLICE_CONNECTIONS };
      }
    }
  }

  /** Whether all unfinished connections have come to a mark. */
  #isPassed(mark: number): boolean {
    for (const { reader } of this.#unfinished) if (reader.offset < mark) return false;
    return true;
  }

  #visit(connection: Connection, now: number): void {
    this.#unfinished.delete(connection);
    if (!connection.writable) return;
    if (!connection.isGreeted || connection.reader.keys.length === 0) {
      if (connection.pingDue) connection.ping(now);
      return;
    }
    const { frames, gaps, resumeAt, more, isEnd } = this.#readers.read(connection.reader, this.#maxBatchBytes);
    for (const frame of toFrames(gaps, resumeAt)) connection.write(frame, now);
    for (const gap of gaps) this.#onGap(gap);
    // A throttled connection shares no batch: no other is throttled at the same moments.
    const isNewest = !more && connection.reader.throttle === undefined;
    if (frames !== undefined) connection.writeShared(frames, now, isNewest);
    else if (connection.pingDue) connection.ping(now);
    if (isEnd) connection.end('closed');
    if (more && connection.writable) {
      this.#unfinished.add(connection);
      this.wake(connection);
    }
    const { throttle } = connection.reader;
    if (throttle === undefined) return;
    // An interval begins when the message before it has been written.
    throttle.onWritten(performance.now());
    if (!more && throttle.holdsBack) this.#alarm.set(connection, throttle.dueAt!);
  }
}
