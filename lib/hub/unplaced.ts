import type { Connection } from '../connection/connection';
import type { Log } from '../log/reader';

// How long a client that has heard more than this process waits for it to come there.
const BEHIND_MS = 10_000;

interface Wait {
  /** The id that its client came with. */
  readonly lastEventId: string | undefined;
  /** ms of the monotonic clock. */
  readonly since: number;
}

/**
 * Streams whose place in the order cannot be told yet: the order was out of sight when they were opened, or their clients
 * have heard more of it than has come here.
 */
export class Unseated {
  readonly #log: Log;
  readonly #seat: (connection: Connection, lastEventId: string | undefined) => void;
  readonly #waits = new Map<Connection, Wait>();
  #catchUp: () => Promise<boolean> = async () => true;

  /** `seat` gives a stream its place. */
  constructor(log: Log, seat: (connection: Connection, lastEventId: string | undefined) => void) {
    this.#log = log;
    this.#seat = seat;
  }

  /** Takes who knows when this process has all that was ordered before. */
  onCatchUp(catchUp: () => Promise<boolean>): void {
    this.#catchUp = catchUp;
  }

  add(connection: Connection, lastEventId: string | undefined, now: number): void {
    this.#waits.set(connection, { lastEventId, since: now });
  }

  delete(connection: Connection): void {
    this.#waits.delete(connection);
  }

  /** The order is in sight. */
  onSight(): void {
    if (this.#waits.size > 0) void this.#seatAll();
  }

  /** Seats those whose place has come, and gives up waiting for the others after a while. */
  sweep(now: number): void {
    const late: Connection[] = [];
    for (const [connection, wait] of this.#waits) {
      if (this.#isThere(connection, wait)) this.#take(connection);
      else if (now - wait.since > BEHIND_MS) late.push(connection);
    }
    if (late.length > 0) void this.#seatLate(late);
  }

  /**
   * Seats all: at once where the place is known, and the others when all that anyone has heard by now has come here. What
   * came meanwhile is theirs only if they have not heard it elsewhere.
   */
  async #seatAll(): Promise<void> {
    const since = performance.now();
    for (const [connection, wait] of this.#waits) {
      if (this.#isThere(connection, wait)) this.#take(connection);
      else this.#waits.set(connection, { ...wait, since });
    }
    const behind = [...this.#waits.keys()];
    // The broker is not done with what it does as it says that the order is in sight.
    await Promise.resolve();
    if (behind.length > 0 && (await this.#catchUp())) for (const connection of behind) this.#take(connection);
  }

  async #seatLate(late: readonly Connection[]): Promise<void> {
    // A process that was stopped for as long has had no time to hear anything.
    await this.#catchUp();
    for (const connection of late) this.#take(connection);
  }

  #isThere(connection: Connection, { lastEventId }: Wait): boolean {
    return lastEventId === undefined || this.#log.knows(lastEventId, connection.reader.keys);
  }

  #take(connection: Connection): void {
    const wait = this.#waits.get(connection);
    // What is to go out first is not out; the next sweep does it.
    if (wait === undefined || connection.isHeld) return;
    this.#waits.delete(connection);
    this.#seat(connection, wait.lastEventId);
  }
}
