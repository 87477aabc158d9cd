import { RESERVED_KEY_PREFIX, isRunKey } from '../message/keys';
import type { SseThrottles } from '../options/options';
import type { Entry } from './entry';

/** A set of keys, and which of them are throttled: the same for all connections that hold them. */
export interface ThrottledKeys {
  readonly all: ReadonlySet<string>;
  /** ms, by key. */
  readonly intervals: ReadonlyMap<string, number>;
}

/** Finds which of a connection's keys are throttled. */
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

  /** The throttled keys among some; undefined when none is. */
  of(keys: readonly string[]): ThrottledKeys | undefined {
    if (this.#exact.size + this.#prefixes.length === 0) return undefined;
    const intervals = new Map<string, number>();
    for (const key of keys) {
      // A run's text would lose pieces.
      if (isRunKey(key)) continue;
      const interval = this.#exact.get(key) ?? this.#prefixes.find(({ prefix }) => covers(prefix, key))?.interval;
      if (interval !== undefined) intervals.set(key, interval);
    }
    return intervals.size === 0 ? undefined : { all: new Set(keys), intervals };
  }
}

/** An entry that is held back, and the keys of which it is the newest. */
interface HeldBack {
  readonly entry: Entry;
  /** The entry's keys that the reader holds, all of them throttled. */
  keys: readonly string[];
  readonly newestOf: Set<string>;
}

/**
 * Decides when one reader gets which message of its throttled keys: never two of a key within its interval, the newest
 * last.
 *
 * A message that also has a key of the reader's that is not throttled always goes out, and counts for the others.
 */
export class Throttle {
  #throttled: ThrottledKeys;
  /** By key, ms of the monotonic clock from which on the next message may go out. */
  readonly #nextAt = new Map<string, number>();
  /** By key, the offset of the message that went out last. */
  readonly #sent = new Map<string, number>();
  /** Oldest first. */
  #heldBack: HeldBack[] = [];
  /** Keys of the messages that go out with the present write. */
  #leaving = new Set<string>();
  /** The offset up to which the client was given ids: an older message that goes out later has no id of its own. */
  given = 0;

  constructor(throttled: ThrottledKeys) {
    this.#throttled = throttled;
  }

  /** The entries that are held back, oldest first. */
  get heldBack(): readonly Entry[] {
    return this.#heldBack.map(({ entry }) => entry);
  }

  get holdsBack(): boolean {
    return this.#heldBack.length > 0;
  }

  throttles(key: string): boolean {
    return this.#throttled.intervals.has(key);
  }

  /** Accepts other keys. What was held back for keys that are gone is dropped. */
  rekey(throttled: ThrottledKeys): void {
    this.#throttled = throttled;
    for (const each of this.#heldBack) {
      each.keys = each.keys.filter((key) => throttled.all.has(key));
      for (const key of each.newestOf) if (!throttled.all.has(key)) each.newestOf.delete(key);
    }
    this.#heldBack = this.#heldBack.filter(({ newestOf }) => newestOf.size > 0);
    for (const key of this.#nextAt.keys()) if (!throttled.all.has(key)) this.#nextAt.delete(key);
    for (const key of this.#sent.keys()) if (!throttled.all.has(key)) this.#sent.delete(key);
  }

  /** Holds back entries that a client which comes back may not have. Live-only entries that are held back stay so. */
  resume(entries: readonly Entry[]): void {
    const all = [...this.heldBack.filter(({ inOrder }) => !inOrder), ...entries].sort((a, b) => a.offset - b.offset);
    this.#heldBack = [];
    for (const entry of all) this.#holdBack(entry, this.#keysOf(entry).keys);
  }

  /** Whether an entry always goes out: it has a key of the reader's that is not throttled. */
  isWhole(entry: Entry): boolean {
    return this.#keysOf(entry).isWhole;
  }

  /**
   * The entries that go out when the reader comes to an entry; none when that is held back. Only a live entry may go
   * out at once: after one that was missed, a newer one may come.
   */
  admit(
    entry: Entry,
    { isLive, since, now }: { isLive: boolean; since: ReadonlyMap<string, number> | undefined; now: number },
  ): readonly Entry[] {
    const { isWhole, keys } = this.#keysOf(entry, since);
    if (isWhole) {
      this.#supersede(keys);
      // An entry that is still the newest of another key must not come after this one.
      const before = this.#heldBack.filter((each) => each.keys.some((key) => keys.includes(key)));
      this.#heldBack = this.#heldBack.filter((each) => !before.includes(each));
      for (const older of before) this.#leave(older.entry, older.keys, now);
      this.#leave(entry, keys, now);
      return [...before.map((older) => older.entry), entry];
    }
    const isFree = (key: string): boolean =>
      this.#nextAtOf(key) <= now && !this.#heldBack.some((each) => each.keys.includes(key));
    if (!isLive || !keys.every(isFree)) {
      this.#holdBack(entry, keys);
      return [];
    }
    this.#leave(entry, keys, now);
    return [entry];
  }

  /** Releases the entries that may go out now, oldest first, up to `maxBytes` but at least one. */
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

  /** Says that the entries that were to go out have been written. */
  onWritten(now: number): void {
    if (this.#leaving.size === 0) return;
    for (const key of this.#leaving) this.#nextAt.set(key, now + (this.#throttled.intervals.get(key) ?? 0));
    this.#leaving = new Set();
  }

  /** ms of the monotonic clock at which the next entry may go out; undefined when none is held back. */
  get dueAt(): number | undefined {
    let dueAt: number | undefined;
    for (const { keys } of this.#due(Number.POSITIVE_INFINITY)) {
      const at = Math.max(...keys.map((key) => this.#nextAtOf(key)));
      dueAt = dueAt === undefined ? at : Math.min(dueAt, at);
    }
    return dueAt;
  }

  /** Whether a message that the reader has come past went out, as far as is remembered. */
  hasSent({ offset, keys }: { readonly offset: number; readonly keys: readonly string[] }): boolean {
    const held = keys.filter((key) => this.#throttled.all.has(key));
    return held.some((key) => !this.throttles(key) || this.#sent.get(key) === offset);
  }

  /** The entries that are due, but none before an older one of its keys. */
  #due(now: number): HeldBack[] {
    const blocked = new Set<string>();
    return this.#heldBack.filter(({ keys }) => {
      const isDue = keys.every((key) => !blocked.has(key) && this.#nextAtOf(key) <= now);
      // An entry that goes out blocks as well: the next one of its keys has to wait for another interval.
      for (const key of keys) blocked.add(key);
      return isDue;
    });
  }

  /** Holds an entry back, in place of older ones that are the newest of no key any more. */
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

  /** An entry's throttled keys that the reader holds, and whether it has a key that is not throttled as well. */
  #keysOf({ keys, offset }: Entry, since?: ReadonlyMap<string, number>): { isWhole: boolean; keys: readonly string[] } {
    const { all, intervals } = this.#throttled;
    const held = keys.filter((key) => all.has(key) && offset > (since?.get(key) ?? 0));
    const throttled = held.filter((key) => intervals.has(key));
    return { isWhole: throttled.length < held.length, keys: throttled };
  }
}

/** Whether a prefix covers a key. The plugin's own keys, such as that of `publishAll`, are not covered by `*` alone. */
function covers(prefix: string, key: string): boolean {
  return key.startsWith(prefix) && (prefix !== '' || !key.startsWith(RESERVED_KEY_PREFIX));
}
