import { performance } from 'node:perf_hooks';
import { within } from '../base/promises';
import type { Pools } from '../connection/pools';
import type { Log } from '../log/log';
import type { SseOptions } from '../options/options';
import type { Pump } from '../pump/pump';
import type { Runs } from '../runs/runs';
import type { Room } from './room';
import type { Unplaced } from './unplaced';

// Egg kills a worker 5 s after telling it to stop: streams have this much of that to end.
const DRAIN_MS = 3_000;

// Clients that are told to come back per ms, at most: a new worker must not be overrun by them.
const RETURNS_PER_MS = 1;

/** The lifetimes of streams: pings them, ends those whose time is up, and all of them when the worker goes. */
export class Lifetimes {
  readonly #options: SseOptions;
  readonly #pools: Pools;
  readonly #pump: Pump;
  readonly #log: Log;
  readonly #room: Room;
  readonly #unplaced: Unplaced;
  readonly #runs: Runs;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(parts: {
    options: SseOptions;
    pools: Pools;
    pump: Pump;
    log: Log;
    room: Room;
    unplaced: Unplaced;
    runs: Runs;
  }) {
    this.#options = parts.options;
    this.#pools = parts.pools;
    this.#pump = parts.pump;
    this.#log = parts.log;
    this.#room = parts.room;
    this.#unplaced = parts.unplaced;
    this.#runs = parts.runs;
  }

  /** Starts the one timer that pings, ends old streams and lets history expire. It keeps no process alive. */
  start(): void {
    const { pingInterval, maxAge } = this.#options;
    const finest = Math.min(pingInterval || maxAge, maxAge) / 10;
    this.#sweeper ??= setInterval(() => this.#sweep(), Math.min(1_000, Math.max(20, finest)));
    this.#sweeper.unref();
  }

  /**
   * Lets no more clients join and ends the open streams. Each is told when to come back, spread over a time, so that
   * the next worker is not overrun. Resolves when all are gone, 3 s later at the latest.
   */
  async drain(): Promise<void> {
    this.#room.close();
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
    const streams = [...this.#pools.all];
    const { retry } = this.#options;
    const spread = Math.max(retry, streams.length / RETURNS_PER_MS);
    const gone = streams.map((connection) => connection.whenClosed());
    for (const connection of streams)
      connection.close('shutdown', { retry: Math.round(retry + spread * Math.random()) });
    await within<unknown>(DRAIN_MS, Promise.all(gone), () => undefined);
    for (const connection of streams) connection.destroy('shutdown');
  }

  #sweep(): void {
    const now = performance.now();
    const { pingInterval } = this.#options;
    for (const connection of this.#pools.all) {
      if (now >= connection.expiresAt) {
        connection.close('expired');
      } else if (now >= connection.endsAt) {
        connection.close('age');
      } else if (pingInterval > 0 && now - connection.lastWriteAt >= pingInterval && connection.writable) {
        connection.pingDue = true;
        this.#pump.wake(connection);
      }
    }
    this.#log.expire();
    if (!this.#unplaced.inSight) return;
    this.#runs.watch(false);
    this.#unplaced.sweep(now);
  }
}
