import type { Connection } from '../connection/connection';
import type { Readers } from '../log/readers';
import type { LastEventId } from '../order/cursor';

// How long a client that has received more than this process waits for the rest to arrive here.
const BEHIND_MS = 10_000;

interface Wait {
  /** The last event id of its client. */
  readonly lastEventId: LastEventId | undefined;
  /** ms of the monotonic clock. */
  readonly since: number;
}

/**
 * Streams whose place in the order is not known yet: the order was out of sight when they joined, or their clients have
 * received more of it than has arrived here.
 */
export class Unplaced {
  readonly #readers: Readers;
  readonly #catchUp: () => Promise<boolean>;
  readonly #place: (connection: Connection, lastEventId: LastEventId | undefined) => void;
  readonly #waits = new Map<Connection, Wait>();
  #inSight = false;

  constructor(parts: {
    readers: Readers;
    /** Resolves when this process has all that was ordered before; with false when that cannot be known in time. */
    catchUp: () => Promise<boolean>;
    /** Gives a stream its place. */
    place: (connection: Connection, lastEventId: LastEventId | undefined) => void;
  }) {
    this.#readers = parts.readers;
    this.#catchUp = parts.catchUp;
    this.#place = parts.place;
  }

  /** Whether the order is in sight. */
  get inSight(): boolean {
    return this.#inSight;
  }

  add(connection: Connection, lastEventId: LastEventId | undefined, now: number): void {
    this.#waits.set(connection, { lastEventId, since: now });
  }

  delete(connection: Connection): void {
    this.#waits.delete(connection);
  }

  /** Says whether the order is in sight; places the streams when it is. */
  follow(inSight: boolean): void {
    this.#inSight = inSight;
    if (inSight && this.#waits.size > 0) void this.#placeAll();
  }

  /** Places the streams whose place has arrived here, and the others after 10 s. */
  sweep(now: number): void {
    if (!this.#inSight) return;
    const late: Connection[] = [];
    for (const [connection, wait] of this.#waits) {
      if (this.#isKnown(connection, wait)) this.#placeOne(connection);
      else if (now - wait.since > BEHIND_MS) late.push(connection);
    }
    if (late.length > 0) void this.#placeLate(late);
  }

  /**
   * Places all streams: at once where the place is known, the others when all that was ordered by now has arrived
   * here. So a client gets no message again that it has received from another process.
   */
  async #placeAll(): Promise<void> {
    const since = performance.now();
    for (const [connection, wait] of this.#waits) {
      if (this.#isKnown(connection, wait)) this.#placeOne(connection);
      else this.#waits.set(connection, { ...wait, since });
    }
    const behind = [...this.#waits.keys()];
    // The broker calls `follow` before it is done with coming back: `catchUp` must not run in the midst of that.
    await Promise.resolve();
    if (behind.length > 0 && (await this.#catchUp())) for (const connection of behind) this.#placeOne(connection);
  }

  async #placeLate(late: readonly Connection[]): Promise<void> {
    // A process that was suspended for as long has had no time to receive anything yet.
    await this.#catchUp();
    for (const connection of late) this.#placeOne(connection);
  }

  #isKnown(connection: Connection, { lastEventId }: Wait): boolean {
    return lastEventId === undefined || this.#readers.knows(lastEventId, connection.reader.keys);
  }

  #placeOne(connection: Connection): void {
    const wait = this.#waits.get(connection);
    // The hello of a stream comes before its gaps: one that is not greeted waits for the next sweep.
    if (wait === undefined || !connection.isGreeted) return;
    this.#waits.delete(connection);
    this.#place(connection, wait.lastEventId);
  }
}
