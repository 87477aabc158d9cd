import type { Context } from 'egg';
import type { SseConfig } from './options';
import type { Sse } from './sse';

export { SseError } from './error';
export { anonymous, authenticated, group, user } from './target';
export type { Authorize, AuthorizeContext, Grant, Groups } from './authorizer';
export type { SseEvent, SseMessage } from './event';
export type { SseEvents, SseStats } from './hub';
export type { CloseReason } from './connection';
export type { SseConfig, SseHistory, SseOptions } from './options';
export type { Reach } from './reach';
export type { PublishOptions, Receipt, Sse, Total } from './sse';

declare module './authorizer' {
  interface AuthorizeContext extends Context {}
}

declare module 'egg' {
  // Egg 3: Application and Agent.
  interface EggApplication {
    sse: Sse;
  }
  // Egg 4: Application, Agent and ctx.app.
  interface EggApplicationCore {
    sse: Sse;
  }
  interface EggAppConfig {
    sse: SseConfig;
  }
}
