// The ESM face: Egg 4 has a second set of declarations for ESM, which only a .d.mts can add to.
import type { SseConfig } from './options.js';
import type { Sse } from './sse.js';

export { anonymous, authenticated, group, SseError, user } from './index.js';
export type {
  Authorize,
  AuthorizeContext,
  CloseReason,
  Grant,
  Groups,
  PublishOptions,
  Reach,
  Receipt,
  Sse,
  SseConfig,
  SseEvent,
  SseEvents,
  SseHistory,
  SseMessage,
  SseOptions,
  SseStats,
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
