import { SseError, show } from '../base/error';
import { Connection, type CloseReason } from '../connection/connection';
import type { KeySets } from '../connection/key_sets';
import type { Pools } from '../connection/pools';
import { isOver, type SseResponse } from '../connection/wire';
import { toFrames } from '../log/gaps';
import type { Log } from '../log/log';
import type { Beginning } from '../log/reader';
import type { Readers } from '../log/readers';
import { idOf, isRunKey } from '../message/keys';
import type { EncodedEvent } from '../message/frame';
import type { SseOptions } from '../options/options';
import type { LastEventId } from '../order/cursor';
import type { Pump } from '../pump/pump';
import type { Runs } from '../runs/runs';
import type { Events } from './events';
import { heldBy, type Answer, type Joined, type JoinRequest, type NotJoined } from './joining';
import type { Room } from './room';
import { Unplaced } from './unplaced';
import { toPrivateWelcome, toWelcome } from './welcome';

const NO_KEYS: readonly string[] = [];

/** Lets clients join, within the limits, each at its place in the order; removes them when they leave. */
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
  readonly #owner = {
    onDrain: (connection: Connection) => this.#pump.wake(connection),
    onEnd: (connection: Connection, reason: CloseReason) => this.#leave(connection, reason),
  };

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
   * Lets a client join with the keys that it was granted. Its place in the order is that of now, or of its last event
   * id; it gets nothing of the log until it is greeted.
   *
   * Throws `SseError` when it is refused, with the status that answers it: those of `Room`, and for its `run`
   * `ERR_SSE_REFUSED` (403) and `ERR_SSE_RUN_UNKNOWN` (404).
   */
  async join(client: JoinRequest, answer: Answer): Promise<Joined | NotJoined> {
    const { response } = answer;
    // A private stream may have secrets next to text that others chose: compressed, its length would tell of them.
    const compressed = client.isPrivate !== true && answer.acceptsGzip && this.#keySets.compresses(heldBy(client));
    // Clients come by the thousands at once: an answer that is not needed is not waited for.
    const isBehind = this.#mayBeBehind(client) && !(await this.#catchUp()) && client.lastEventId !== undefined;
    if (isOver(response)) return 'left';
    if (client.run !== undefined && this.#hasAll(client, client.run)) return 'all';
    if (answer.isHead) {
      answer.writeHead(compressed);
      return 'head';
    }
    this.#room.check();
    const asked = this.#room.slotFor(client.user);
    const slot = asked && (await asked);
    try {
      if (isOver(response)) return 'left';
      // Again: other clients may have joined while the other processes were asked.
      if (slot !== undefined) this.#room.check(slot);
      answer.writeHead(compressed);
      return this.#add(response, client, { compressed, isBehind });
    } finally {
      slot?.release();
    }
  }

  /** Whether a client may have received messages, or taken mail, from another worker that have not arrived here. */
  #mayBeBehind(client: JoinRequest): boolean {
    const { lastEventId, isPrivate = false, run } = client;
    if (isPrivate && run === undefined) return false;
    if (run !== undefined && this.#log.runOf(run) === undefined) return true;
    if (lastEventId !== undefined) return !this.#readers.knows(lastEventId, heldBy(client));
    return this.#options.mailbox !== false && this.#log.mailboxes.of(heldBy(client)).length > 0;
  }

  /** Whether a client has all of a run. Throws `SseError` when the run is not granted to it, or not known. */
  #hasAll({ keys, lastEventId }: JoinRequest, run: string): boolean {
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

  /** Makes an open stream of a response whose head is out. */
  #add(response: SseResponse, client: JoinRequest, how: { compressed: boolean; isBehind: boolean }): Joined {
    const { isPrivate = false, showsKeys = false, expiresAt = Number.POSITIVE_INFINITY, run, newKeys = [] } = client;
    const { asked = client.keys, lastEventId, user, data, feed } = client;
    const keysOfPrivate = run === undefined ? NO_KEYS : [run];
    const keys = isPrivate ? keysOfPrivate : client.keys;
    const now = performance.now();
    const set = this.#keySets.hold(heldBy({ ...client, keys }), showsKeys);
    const held = set.keys;
    const throttled = isPrivate ? undefined : set.throttled;
    const read = isPrivate ? keys : held;
    const known = newKeys.length === 0 ? read : read.filter((key) => !newKeys.includes(key));
    const mayWait = how.isBehind || !this.unplaced.inSight;
    const { reader, gaps } = this.#readers.join(known, { lastEventId, throttled, mayWait });
    if (known !== read) this.#readers.rekey(reader, read, throttled);
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
      greet: (first) => this.#greet(connection, client, gaps, first),
    };
  }

  #greet(connection: Connection, client: JoinRequest, gaps: Beginning['gaps'], first: EncodedEvent | undefined): void {
    const { reader, isPrivate, keys, user } = connection;
    const { groups, lastEventId, retry = this.#options.retry } = client;
    const { pingInterval } = this.#options;
    const cursor = reader.placed ? this.#readers.cursorAt(reader) : undefined;
    const frames = isPrivate
      ? toPrivateWelcome(client.retry, gaps, first)
      : toWelcome(
          { keys, user, groups },
          { cursor, isPlaced: reader.placed, lastEventId: lastEventId?.text },
          { gaps, first, retry, pingInterval },
        );
    connection.isGreeted = true;
    if (frames.length > 0) connection.write(Buffer.concat(frames), performance.now());
    for (const gap of gaps) this.#events.emit('gap', gap);
    if (reader.offset !== this.#readers.head || reader.throttle?.holdsBack === true) this.#pump.wake(connection);
  }

  /** Gives an unplaced stream its place in the order. */
  #place(connection: Connection, lastEventId: LastEventId | undefined): void {
    const gaps = this.#readers.place(connection.reader, lastEventId);
    const frames = toFrames(gaps, this.#readers.cursorAt(connection.reader));
    if (frames.length > 0) connection.write(Buffer.concat(frames), performance.now());
    for (const gap of gaps) this.#events.emit('gap', gap);
    this.#pump.wake(connection);
  }

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
