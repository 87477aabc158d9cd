import type { StreamEvent } from './parser.mjs';

const MAX_EVENTS = 500;
const MAX_CHARS = 256 * 1024;

/** The events that a tab has missed. */
export interface After {
  /** The place at which they begin. */
  readonly at: string;
  readonly events: readonly StreamEvent[];
  /** The keys of which it may have missed more. */
  readonly missed: readonly string[];
}

/**
 * The newest events of a connection, bounded, and since when it has held each of its keys: for tabs that were away for
 * a moment.
 */
export class Recent {
  /** The place before the first event. */
  #base: string;
  #events: StreamEvent[] = [];
  /** The number of events before the first one. */
  #dropped = 0;
  #chars = 0;
  /** By key, the number of events that had come when the connection began to hold it. */
  #since = new Map<string, number>();

  constructor(base: string, keys: Iterable<string> = []) {
    this.#base = base;
    this.hold(keys);
  }

  /** The newest place. */
  get cursor(): string {
    return this.#events.at(-1)?.lastEventId ?? this.#base;
  }

  /** The keys that the connection holds. */
  get keys(): string[] {
    return [...this.#since.keys()];
  }

  copy(): Recent {
    const copy = new Recent(this.#base);
    copy.#events = [...this.#events];
    copy.#dropped = this.#dropped;
    copy.#chars = this.#chars;
    copy.#since = new Map(this.#since);
    return copy;
  }

  push(event: StreamEvent): void {
    this.#events.push(event);
    this.#chars += event.data.length;
    while (this.#events.length > MAX_EVENTS || this.#chars > MAX_CHARS) {
      const oldest = this.#events.shift()!;
      this.#base = oldest.lastEventId;
      this.#chars -= oldest.data.length;
      this.#dropped++;
    }
  }

  /** Notes that the connection holds these keys from now on. */
  hold(keys: Iterable<string>): void {
    const now = this.#dropped + this.#events.length;
    this.#since = new Map(Array.from(keys, (key) => [key, this.#since.get(key) ?? now]));
  }

  /**
   * The events after a place ('' = now), and those of some keys of which more may be missed: all of them, if the place
   * is not known.
   */
  after(cursor: string, keys: readonly string[] = []): After {
    const known = this.#events.findLastIndex(({ lastEventId }) => lastEventId === cursor) + 1;
    if (cursor === '') return { at: this.cursor, events: [], missed: [] };
    if (known === 0 && cursor !== this.#base) return { at: this.cursor, events: [], missed: ['@all', ...keys] };
    const missed = keys.filter((key) => !(this.#since.get(key)! <= this.#dropped + known));
    return { at: cursor, events: this.#events.slice(known), missed };
  }
}
