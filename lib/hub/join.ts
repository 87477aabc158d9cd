import { SseError, show } from '../base/error';
import { Connection, type CloseReason } from '../connection/connection';
import type { KeySets } from '../connection/key_sets';
import type { Pools } from '../connection/pools';
import { isOver, type SseResponse } from '../connection/wire';
import { toFrames } from '../log/gaps';
import type { Log } from '../log/log';
import type { Beginning } from '../log/reader';
import type { Readers } from '../log/readers';
import { Throttle } from '../log/throttle';
import { idOf, isRunKey } from '../message/keys';
import type { EncodedEvent } from '../message/frame';
import type { SseOptions } from '../options/options';
import type { LastEventId } from '../order/cursor';
import type { Pump } from '../pump/pump';
import type { Runs } from '../runs/runs';
import type { Events } from './events';
import { heldBy, type Answer, type Joined, type Joining, type NotJoined } from './joining';
import type { Room } from './room';
import { Unplaced } from './unplaced';
import { toOpening, toWelcome } from './welcome';

const NO_KEYS: readonly string[] = [];

/** Lets clients join, within the limits, each at its place in the order; sees them off when they leave. */
export class Joins {
  readonly #options: SseOptions;
  readonly #log: Log;
  readonly #readers: Readers;
  readonly #pools: Pools;
  readonly #keySets: KeySets;
  readonly #pump: Pump;
  readonly #runs: Runs;
  readonly #room: Room;
  readonly #events: Events;
  readonly #catchUp: () => Promise<boolean>;
  readonly unplaced: Unplaced;

  constructor(parts: {
    options: SseOptions;
    log: Log;
    readers: Readers;
    pools: Pools;
    keySets: KeySets;
    pump: Pump;
    runs: Runs;
    room: Room;
    events: Events;
    /** Resolves when this process has all that was ordered before; false when that cannot be known in time. */
    catchUp: () => Promise<boolean>;
  }) {
    this.#options = parts.options;
    this.#log = parts.log;
    this.#readers = parts.readers;
    this.#pools = parts.pools;
    this.#keySets = parts.keySets;
    this.#pump = parts.pump;
    this.#runs = parts.runs;
    this.#room = parts.room;
    this.#events = parts.events;
    this.#catchUp = parts.catchUp;
    this.unplaced = new Unplaced({
      readers: parts.readers,
      catchUp: parts.catchUp,
      place: (connection, lastEventId) => this.#place(connection, lastEventId),
    });
  }

  /**
   * Lets a client join that was granted what it holds. Its place in the order is that of now, or where it was; it has
   * nothing of the log until it is greeted.
   *
   * Throws `SseError` when it is refused, with the status that answers it: those of `Room`, and for the run that it asks for
   * `ERR_SSE_REFUSED` (403) and `ERR_SSE_RUN_UNKNOWN` (404).
   */
  async join(joining: Joining, answer: Answer): Promise<Joined | NotJoined> {
    const { response } = answer;
    // What is sent to one client alone may have its secrets next to what others have made it say.
    const compressed = joining.isPrivate !== true && answer.takesGzip && this.#keySets.compresses(heldBy(joining));
    // Streams open by the thousands at once: what there is no need to wait for is not waited for.
    const isBehind = this.#mayBeBehind(joining) && !(await this.#catchUp()) && joining.lastEventId !== undefined;
    if (isOver(response)) return 'left';
    if (joining.run !== undefined && this.#hasAll(joining, joining.run)) return 'all';
    if (answer.isHead) {
      answer.writeHead(compressed);
      return 'head';
    }
    this.#room.check();
    const asked = this.#room.slotFor(joining.user);
    const slot = asked && (await asked);
    try {
      if (isOver(response)) return 'left';
      // Once more: it takes a while to ask the others.
      if (slot !== undefined) this.#room.check(slot);
      answer.writeHead(compressed);
      return this.#open(response, joining, { compressed, isBehind });
    } finally {
      slot?.release();
    }
  }

  /** Whether a client may have heard of more, on another worker, than has arrived here, or have taken its mail there. */
  #mayBeBehind(joining: Joining): boolean {
    const { lastEventId, isPrivate = false, run } = joining;
    if (isPrivate && run === undefined) return false;
    if (run !== undefined && this.#log.runOf(run) === undefined) return true;
    if (lastEventId !== undefined) return !this.#readers.knows(lastEventId, heldBy(joining));
    return this.#options.mailbox !== false && this.#log.mailboxes.of(heldBy(joining)).length > 0;
  }

  /** Whether a client has had all of a run. Throws `SseError` when it may not have it, or nobody knows of it. */
  #hasAll({ keys, lastEventId }: Joining, run: string): boolean {
    if (!keys.includes(run)) {
      throw new SseError('ERR_SSE_REFUSED', 'this run is not for this client', { status: 403 });
    }
    if (this.#log.runOf(run) === undefined) {
      throw new SseError('ERR_SSE_RUN_UNKNOWN', `there is no run ${show(idOf(run))}, or its lifetime is over`, {
        status: 404,
      });
    }
    return lastEventId !== undefined && this.#readers.hasAllOfRun(lastEventId, run);
  }

  /** Takes a response whose head is out as an open stream. */
  #open(response: SseResponse, joining: Joining, how: { compressed: boolean; isBehind: boolean }): Joined {
    const { isPrivate = false, showsKeys = false, expiresAt = Number.POSITIVE_INFINITY, run, newKeys = [] } = joining;
    const { asked = joining.keys, lastEventId, user, data, feed } = joining;
    const keysOfPrivate = run === undefined ? NO_KEYS : [run];
    const keys = isPrivate ? keysOfPrivate : joining.keys;
    const now = performance.now();
    const set = this.#keySets.hold(heldBy({ ...joining, keys }), showsKeys);
    const { keys: held, throttled } = set;
    const throttle = throttled === undefined || isPrivate ? undefined : new Throttle(throttled);
    const theirs = isPrivate ? keys : held;
    const known = newKeys.length === 0 ? theirs : theirs.filter((key) => !newKeys.includes(key));
    const { reader, gaps } = this.#readerOf(known, { lastEventId, isBehind: how.isBehind, throttle });
    if (known !== theirs) this.#readers.rekey(reader, theirs, throttle === undefined ? undefined : throttled);
    reader.showsKeys = showsKeys;
    reader.isOfRun = run !== undefined;
    const { maxAge, stallTimeout } = this.#options;
    const connection = new Connection(response, this.#owner, {
      asked,
      keySet: set,
      reader,
      now,
      endsAt: now + maxAge * (0.8 + 0.2 * Math.random()),
      stallTimeout,
      isPrivate,
      feed,
    });
    if (how.compressed) connection.compress(this.#keySets.deflateOf(set));
    connection.grant({ keys, user, data, expiresAt });
    for (const key of held) this.#pools.enter(key, connection);
    if (!reader.placed) this.unplaced.add(connection, lastEventId, now);
    this.#events.emit('open', { keys, user, data, resumed: lastEventId !== undefined });
    if (held.some(isRunKey)) this.#runs.watch(true);
    return {
      connection,
      resumed: lastEventId !== undefined && reader.placed && gaps.length === 0,
      greet: (first) => this.#greet(connection, joining, gaps, first),
    };
  }

  #readerOf(
    held: readonly string[],
    from: { lastEventId: LastEventId | undefined; isBehind: boolean; throttle: Throttle | undefined },
  ): Beginning {
    const readers = this.#readers;
    const { lastEventId, isBehind, throttle } = from;
    if (held.length === 0) return { reader: readers.fromHead(held), gaps: [] };
    const isKnown = lastEventId === undefined ? this.#log.place !== undefined : readers.knows(lastEventId, held);
    if (!isKnown && (isBehind || !this.unplaced.inSight)) return { reader: readers.unplaced(held, throttle), gaps: [] };
    if (lastEventId === undefined) return readers.begin(held, throttle);
    return readers.resume(lastEventId, held, throttle);
  }

  #greet(connection: Connection, joining: Joining, gaps: Beginning['gaps'], first: EncodedEvent | undefined): void {
    const { reader, isPrivate, keys, user } = connection;
    const { groups, lastEventId, retry = this.#options.retry } = joining;
    const { pingInterval } = this.#options;
    const cursor = reader.placed ? this.#readers.cursorAt(reader) : undefined;
    const frames = isPrivate
      ? toOpening(joining.retry, gaps, first)
      : toWelcome(
          { keys, user, groups },
          { cursor, isPlaced: reader.placed, lastEventId: lastEventId?.text },
          { gaps, first, retry, pingInterval },
        );
    connection.isGreeted = true;
    if (frames.length > 0) connection.write(Buffer.concat(frames), performance.now());
    for (const gap of gaps) this.#events.emit('gap', gap);
    if (reader.position !== this.#readers.head || reader.throttle?.holdsBack === true) this.#pump.wake(connection);
  }

  /** Gives a stream that had none its place in the order. */
  #place(connection: Connection, lastEventId: LastEventId | undefined): void {
    const gaps = this.#readers.place(connection.reader, lastEventId);
    const frames = toFrames(gaps, this.#readers.cursorAt(connection.reader));
    if (frames.length > 0) connection.write(Buffer.concat(frames), performance.now());
    for (const gap of gaps) this.#events.emit('gap', gap);
    this.#pump.wake(connection);
  }

  readonly #owner = {
    onDrain: (connection: Connection) => this.#pump.wake(connection),
    onEnd: (connection: Connection, reason: CloseReason) => this.#leave(connection, reason),
  };

  #leave(connection: Connection, reason: CloseReason): void {
    if (!this.#pools.all.has(connection)) return;
    this.unplaced.delete(connection);
    this.#pump.forget(connection);
    for (const key of connection.keySet.keys) this.#pools.exit(key, connection);
    this.#keySets.release(connection.keySet);
    const { keys, user, data, openedAt } = connection;
    this.#events.emit('close', { keys, user, data, reason, openMs: performance.now() - openedAt });
  }
}
