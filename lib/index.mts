// The ESM face: Egg 4 has a second set of declarations for ESM, which only a .d.mts can add to.
import type { SseOptions } from './options.js';
import type { Sse } from './sse.js';

export { SseError } from './index.js';
export type {
  CloseReason,
  PublishOptions,
  Reach,
  Receipt,
  Sse,
  SseEvent,
  SseEvents,
  SseHistory,
  SseMessage,
  SseOptions,
  SseStats,
} from './index.js';

declare module 'egg' {
  interface EggApplication {
    sse: Sse;
  }
  interface EggApplicationCore {
    sse: Sse;
  }
  interface EggAppConfig {
    sse: SseOptions;
  }
}
