// The ESM face: Egg 4 has a second set of declarations for ESM, which only a .d.mts can add to.
import type { SseConfig } from './options.js';
import type { Sse } from './sse.js';

export { SseError, sseSchedule } from './index.js';
export type {
  CloseReason,
  PublishOptions,
  Reach,
  Receipt,
  Sse,
  SseBridges,
  SseConfig,
  SseEvent,
  SseEvents,
  SseHistory,
  SseMessage,
  SseMessengerRoute,
  SseOptions,
  SsePublisher,
  SseSchedule,
  SseScheduleContext,
  SseScheduleOptions,
  SseStats,
  SseTarget,
  Total,
} from './index.js';

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
}
