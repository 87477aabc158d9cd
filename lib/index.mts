// The ESM face: Egg 4 has a second set of declarations for ESM, which only a .d.mts can add to.
import type { Context } from 'egg';
import { sseSchedule as makeSchedule } from './bridge/schedule/schedule.js';
import type { SseConfig } from './options/options.js';
import type { RequestSse } from './egg/ctx_sse.js';
import type { Sse } from './sse.js';

/**
 * Makes an Egg schedule of a function that loads something: one worker runs it, of the host or, with `config.sse.redis`,
 * of all hosts, and all their clients get the result whenever it has changed.
 *
 * Throws `SseError` `ERR_SSE_CONFIG` for an option that is wrong, so that the app does not start.
 */
export const sseSchedule = makeSchedule<Context>;
export { anonymous, authenticated, createHub, group, run, SseError, user } from './index.js';
export type * from './index.js';

declare module 'egg' {
  interface EggApplication {
    sse: Sse;
  }
  interface EggApplicationCore {
    sse: Sse;
  }
  interface EggAppConfig {
    sse: SseConfig;
  }
  interface Context {
    sse: RequestSse;
  }
}
