import type { Connection } from '../connection/connection';
import type { Readers } from '../log/readers';
import type { LastEventId } from '../order/cursor';

// How long a client that has heard more than this process waits for it to come there.
const BEHIND_MS = 10_000;

interface Wait {
  /** The id that its client came with. */
  readonly lastEventId: LastEventId | undefined;
  /** ms of the monotonic clock. */
  readonly since: number;
}

/**
 * Streams whose place in the order cannot be told yet: the order was out of sight when they were opened, or their clients
 * have heard more of it than has come here.
 */
export class Unplaced {
  readonly #readers: Readers;
  readonly #catchUp: () => Promise<boolean>;
  readonly #place: (connection: Connection, lastEventId: LastEventId | undefined) => void;
  readonly #waits = new Map<Connection, Wait>();
  #inSight = false;

  constructor(parts: {
    readers: Readers;
    /** Resolves when this process has all that was ordered before. */
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

  /** Says whether the order is in sight. */
  follow(inSight: boolean): void {
    this.#inSight = inSight;
    if (inSight && this.#waits.size > 0) void this.#placeAll();
  }

  /** Places the streams whose place has come, and gives up waiting for the others after a while. */
  sweep(now: number): void {
    if (!this.#inSight) return;
    const late: Connection[] = [];
    for (const [connection, wait] of this.#waits) {
      if (this.#isThere(connection, wait)) this.#leave(connection);
      else if (now - wait.since > BEHIND_MS) late.push(connection);
    }
    if (late.length > 0) void this.#placeLate(late);
  }

  /**
   * Places all: at once where the place is known, and the others when all that anyone has heard by now has come here. What
   * came meanwhile is theirs only if they have not heard it elsewhere.
   */
  async #placeAll(): Promise<void> {
    const since = performance.now();
    for (const [connection, wait] of this.#waits) {
      if (this.#isThere(connection, wait)) this.#leave(connection);
      else this.#waits.set(connection, { ...wait, since });
    }
    const behind = [...this.#waits.keys()];
    // The broker is not done with what it does as it says that the order is in sight.
    await Promise.resolve();
    if (behind.length > 0 && (await this.#catchUp())) for (const connection of behind) this.#leave(connection);
  }

  async #placeLate(late: readonly Connection[]): Promise<void> {
    // A process that was stopped for as long has had no time to hear anything.
    await this.#catchUp();
    for (const connection of late) this.#leave(connection);
  }

  #isThere(connection: Connection, { lastEventId }: Wait): boolean {
    return lastEventId === undefined || this.#readers.knows(lastEventId, connection.reader.keys);
  }

  #leave(connection: Connection): void {
    const wait = this.#waits.get(connection);
    // A stream that is not greeted has nothing out yet; the next sweep does it.
    if (wait === undefined || !connection.isGreeted) return;
    this.#waits.delete(connection);
    this.#place(connection, wait.lastEventId);
  }
}
