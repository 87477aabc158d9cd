import type { Connection } from '../connection/connection';

// A look costs some 20 ns per connection that waits: this bounds it to about a hundredth of the time.
const WAITING_PER_MS = 500;

/** Calls back for connections whose time has come, never early, with one timer for all. It keeps no process alive. */
export class Alarm {
  readonly #ring: (connection: Connection) => void;
  /** By connection, ms of the monotonic clock. */
  readonly #waiting = new Map<Connection, number>();
  #timer: NodeJS.Timeout | undefined;
  #at = Number.POSITIVE_INFINITY;
  /** The earliest time of the next look. */
  #notBefore = Number.NEGATIVE_INFINITY;

  constructor(ring: (connection: Connection) => void) {
    this.#ring = ring;
  }

  set(connection: Connection, at: number): void {
    this.#waiting.set(connection, at);
    const next = Math.max(at, this.#notBefore);
    if (next < this.#at) this.#arm(next);
  }

  delete(connection: Connection): void {
    this.#waiting.delete(connection);
  }

  #arm(at: number): void {
    clearTimeout(this.#timer);
    this.#at = at;
    this.#timer = setTimeout(() => this.#look(), Math.max(1, Math.ceil(at - performance.now())));
    this.#timer.unref();
  }

  #look(): void {
    this.#at = Number.POSITIVE_INFINITY;
    const now = performance.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [connection, at] of this.#waiting) {
      if (at > now) {
        next = Math.min(next, at);
        continue;
      }
      this.#waiting.delete(connection);
      this.#ring(connection);
    }
    this.#notBefore = now + this.#waiting.size / WAITING_PER_MS;
    if (this.#waiting.size > 0) this.#arm(Math.max(next, this.#notBefore));
  }
}
