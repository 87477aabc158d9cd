import type { Entry } from './entry';
import { RESERVED_KEY_PREFIX, isRunKey } from '../message/keys';
import type { SseThrottles } from '../options/options';

/** What of a set of keys is throttled: the same for all connections that hold them. */
export interface ThrottledKeys {
  readonly all: ReadonlySet<string>;
  /** ms, by key. */
  readonly intervals: ReadonlyMap<string, number>;
}

/** Finds what of a connection's keys is throttled. */
export class ThrottleRules {
  readonly #exact = new Map<string, number>();
  /** Longest first. */
  readonly #prefixes: { readonly prefix: string; readonly interval: number }[] = [];

  constructor(throttles: SseThrottles) {
    for (const [pattern, { interval }] of Object.entries(throttles)) {
      if (pattern.endsWith('*')) this.#prefixes.push({ prefix: pattern.slice(0, -1), interval });
      else this.#exact.set(pattern, interval);
    }
    this.#prefixes.sort((a, b) => b.prefix.length - a.prefix.length);
  }

  /** Undefined when nothing is. */
  of(keys: readonly string[]): ThrottledKeys | undefined {
    if (this.#exact.size + this.#prefixes.length === 0) return undefined;
    const intervals = new Map<string, number>();
    for (const key of keys) {
      // A text of which pieces are left out is none.
      if (isRunKey(key)) continue;
      const interval = this.#exact.get(key) ?? this.#prefixes.find(({ prefix }) => covers(prefix, key))?.interval;
      if (interval !== undefined) intervals.set(key, interval);
    }
    return intervals.size === 0 ? undefined : { all: new Set(keys), intervals };
  }
}

/** What is held back, and of which keys it is the newest. */
interface HeldBack {
  readonly entry: Entry;
  /** The reader's keys that it has, all of them throttled. */
  keys: readonly string[];
  readonly newestOf: Set<string>;
}

/**
 * What one reader gets of its throttled keys, and when: never two messages of a key within its interval, the newest last.
 *
 * A message that also has a key of the reader's that is not throttled goes out in full, and counts for the others.
 */
export class Throttle {
  #throttled: ThrottledKeys;
  /** By key, ms of the monotonic clock from which on the next may go out. */
  readonly #nextAt = new Map<string, number>();
  /** By key, the offset of what went out last. */
  readonly #sent = new Map<string, number>();
  /** Oldest first. */
  #heldBack: HeldBack[] = [];
  /** Keys of which something goes out with the present write. */
  #leaving = new Set<string>();
  /** The offset up to which the ids that the client was given reach: what comes later and is older has none of its own. */
  given = 0;

  constructor(throttled: ThrottledKeys) {
    this.#throttled = throttled;
  }

  /** What waits, oldest first. */
  get heldBack(): readonly Entry[] {
    return this.#heldBack.map(({ entry }) => entry);
  }

  get holdsBack(): boolean {
    return this.#heldBack.length > 0;
  }

  throttles(key: string): boolean {
    return this.#throttled.intervals.has(key);
  }

  /** Takes other keys: what was held back for those that are gone is not theirs any more. */
  rekey(throttled: ThrottledKeys): void {
    this.#throttled = throttled;
    for (const held of this.#heldBack) {
      held.keys = held.keys.filter((key) => throttled.all.has(key));
      for (const key of held.newestOf) if (!throttled.all.has(key)) held.newestOf.delete(key);
    }
    this.#heldBack = this.#heldBack.filter(({ newestOf }) => newestOf.size > 0);
    for (const key of this.#nextAt.keys()) if (!throttled.all.has(key)) this.#nextAt.delete(key);
    for (const key of this.#sent.keys()) if (!throttled.all.has(key)) this.#sent.delete(key);
  }

  /** Holds back what a client that comes back may not have got, besides what is live only. */
  resume(entries: readonly Entry[]): void {
    const all = [...this.heldBack.filter(({ inOrder }) => !inOrder), ...entries].sort((a, b) => a.offset - b.offset);
    this.#heldBack = [];
    for (const entry of all) this.#holdBack(entry, this.#keysOf(entry).keys);
  }

  /** Whether an entry goes out in full, by a key of the reader's that is not throttled. */
  isWhole(entry: Entry): boolean {
    return this.#keysOf(entry).isWhole;
  }

  /**
   * Says what goes out when the reader comes to an entry: nothing, when it is held back. Only what is live may go at once:
   * of what was missed, something newer may come.
   */
  admit(
    entry: Entry,
    { isLive, since, now }: { isLive: boolean; since: ReadonlyMap<string, number> | undefined; now: number },
  ): readonly Entry[] {
    const { isWhole, keys } = this.#keysOf(entry, since);
    if (isWhole) {
      this.#supersede(keys);
      // What is still the newest of another key must not come after it.
      const before = this.#heldBack.filter((held) => held.keys.some((key) => keys.includes(key)));
      this.#heldBack = this.#heldBack.filter((held) => !before.includes(held));
      for (const held of before) this.#leave(held.entry, held.keys, now);
      this.#leave(entry, keys, now);
      return [...before.map((held) => held.entry), entry];
    }
    const isFree = (key: string): boolean =>
      this.#nextAtOf(key) <= now && !this.#heldBack.some((held) => held.keys.includes(key));
    if (!isLive || !keys.every(isFree)) {
      this.#holdBack(entry, keys);
      return [];
    }
    this.#leave(entry, keys, now);
    return [entry];
  }

  /** Takes out what may go out now, oldest first, of `maxBytes` but at least one. */
  release(now: number, maxBytes: number): Entry[] {
    const released: Entry[] = [];
    let bytes = 0;
    for (const { entry, keys } of this.#due(now)) {
      bytes += entry.bytes;
      if (bytes > maxBytes && released.length > 0) break;
      released.push(entry);
      this.#leave(entry, keys, now);
    }
    if (released.length > 0) this.#heldBack = this.#heldBack.filter(({ entry }) => !released.includes(entry));
    return released;
  }

  isDue(now: number): boolean {
    return this.#due(now).length > 0;
  }

  /** Says that what was to go out has been written. */
  settle(now: number): void {
    if (this.#leaving.size === 0) return;
    for (const key of this.#leaving) this.#nextAt.set(key, now + (this.#throttled.intervals.get(key) ?? 0));
    this.#leaving = new Set();
  }

  /** ms of the monotonic clock at which something that is held back may go out; undefined when nothing is. */
  get dueAt(): number | undefined {
    let dueAt: number | undefined;
    for (const { keys } of this.#due(Number.POSITIVE_INFINITY)) {
      const at = Math.max(...keys.map((key) => this.#nextAtOf(key)));
      dueAt = dueAt === undefined ? at : Math.min(dueAt, at);
    }
    return dueAt;
  }

  /** Whether a message that the reader has passed went out, as far as is remembered. */
  hasSent({ offset, keys }: { readonly offset: number; readonly keys: readonly string[] }): boolean {
    const held = keys.filter((key) => this.#throttled.all.has(key));
    return held.some((key) => !this.throttles(key) || this.#sent.get(key) === offset);
  }

  /** What is due, unless something older of one of its keys waits. */
  #due(now: number): HeldBack[] {
    const blocked = new Set<string>();
    return this.#heldBack.filter(({ keys }) => {
      const isDue = keys.every((key) => !blocked.has(key) && this.#nextAtOf(key) <= now);
      // Even what goes out: the next of its keys has to wait for another interval.
      for (const key of keys) blocked.add(key);
      return isDue;
    });
  }

  /** Holds an entry back; what it is newer than is not needed any more. */
  #holdBack(entry: Entry, keys: readonly string[]): void {
    this.#supersede(keys);
    this.#heldBack.push({ entry, keys, newestOf: new Set(keys) });
  }

  #supersede(keys: readonly string[]): void {
    for (const { newestOf } of this.#heldBack) for (const key of keys) newestOf.delete(key);
    this.#heldBack = this.#heldBack.filter(({ newestOf }) => newestOf.size > 0);
  }

  #leave({ offset }: Entry, keys: readonly string[], now: number): void {
    for (const key of keys) {
      this.#nextAt.set(key, now + this.#throttled.intervals.get(key)!);
      this.#sent.set(key, offset);
      this.#leaving.add(key);
    }
  }

  #nextAtOf(key: string): number {
    return this.#nextAt.get(key) ?? Number.NEGATIVE_INFINITY;
  }

  /** An entry's throttled keys that are the reader's, and whether it goes out in full, by another one. */
  #keysOf({ keys, offset }: Entry, since?: ReadonlyMap<string, number>): { isWhole: boolean; keys: readonly string[] } {
    const { all, intervals } = this.#throttled;
    const theirs = keys.filter((key) => all.has(key) && offset > (since?.get(key) ?? 0));
    const throttled = theirs.filter((key) => intervals.has(key));
    return { isWhole: throttled.length < theirs.length, keys: throttled };
  }
}

/** The plugin's own keys, `publishAll` among them, are throttled only by their name. */
function covers(prefix: string, key: string): boolean {
  return key.startsWith(prefix) && (prefix !== '' || !key.startsWith(RESERVED_KEY_PREFIX));
}
