import { ALL } from '../message/keys';
import type { Connection } from './connection';

const NONE: ReadonlySet<Connection> = new Set();

/** Connections by the keys that they hold. */
export class Pools {
  readonly #pools = new Map<string, Set<Connection>>();
  readonly #isWatched: (key: string) => boolean;
  readonly #watched = new Set<string>();

  constructor(isWatched: (key: string) => boolean) {
    this.#isWatched = isWatched;
  }

  /** The number of keys that are held. */
  get size(): number {
    return this.#pools.size;
  }

  /** The keys among them that are watched. */
  get watched(): ReadonlySet<string> {
    return this.#watched;
  }

  /** All connections. */
  get all(): ReadonlySet<Connection> {
    return this.#pools.get(ALL) ?? NONE;
  }

  /** The connections that hold a key; undefined when there are none. */
  of(key: string): ReadonlySet<Connection> | undefined {
    return this.#pools.get(key);
  }

  /** The connections that hold any of some keys, each once. */
  ofAny(keys: readonly string[]): ReadonlySet<Connection> {
    return new Set(keys.flatMap((key) => [...(this.#pools.get(key) ?? [])]));
  }

  enter(key: string, connection: Connection): void {
    const pool = this.#pools.get(key);
    if (pool !== undefined) {
      pool.add(connection);
      return;
    }
    this.#pools.set(key, new Set([connection]));
    if (this.#isWatched(key)) this.#watched.add(key);
  }

  exit(key: string, connection: Connection): void {
    const pool = this.#pools.get(key);
    if (pool === undefined) return;
    pool.delete(connection);
    if (pool.size > 0) return;
    this.#pools.delete(key);
    this.#watched.delete(key);
  }
}
