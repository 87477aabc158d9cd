import { Service } from 'egg';

/** The price of an egg at a time. */
export interface Tick {
  /** ms since 1970, whole seconds. */
  readonly at: number;
  readonly value: number;
}

// [seconds, cents]: slow waves are high, quick ones low.
const WAVES = [
  [3, 0.9],
  [11, 1.8],
  [37, 3.2],
  [113, 5.5],
] as const;

/** A price that wanders. It depends on the time alone: the next tick may come from any worker. */
export default class TickerService extends Service {
  now(): Tick {
    return tickAt(Math.floor(Date.now() / 1_000));
  }

  recent(count: number): Tick[] {
    const newest = Math.floor(Date.now() / 1_000);
    return Array.from({ length: count }, (_, index) => tickAt(newest - count + 1 + index));
  }
}

function tickAt(second: number): Tick {
  const cents = WAVES.reduce((sum, [period, height]) => sum + height * noise(second / period), 42);
  return { at: second * 1_000, value: Math.round(cents * 100) / 100 };
}

/** Between -1 and 1: random at whole numbers, smooth between them. */
function noise(x: number): number {
  const left = Math.floor(x);
  const part = x - left;
  const ease = part * part * (3 - 2 * part);
  return random(left) * (1 - ease) + random(left + 1) * ease;
}

/** Between -1 and 1, the same for the same number. */
function random(n: number): number {
  let hash = Math.imul(n ^ 0x9e3779b9, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 31 - 1;
}

declare module 'egg' {
  interface IService {
    ticker: TickerService;
  }
}
