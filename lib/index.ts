import type { Context } from 'egg';
import { sseSchedule as makeSchedule } from './bridge/schedule';
import type { SseConfig } from './options';
import type { RequestSse } from './request_sse';
import type { Sse } from './sse';

/**
 * Makes an Egg schedule of a function that loads something: one worker runs it, of the host or, with `config.sse.redis`,
 * of all hosts, and all their clients get the result whenever it has changed.
 *
 * Throws `SseError` `ERR_SSE_CONFIG` for an option that is wrong, so that the app does not start.
 */
export const sseSchedule = makeSchedule<Context>;
export type { SseSchedule, SseScheduleOptions } from './bridge/schedule';
export type { SseBridges, SsePublisher, SseRedisBridge, SseRoute, SseTarget } from './bridge_options';
export type { SseCompression } from './compression';
export type { SseCors } from './cors';
export { createHub, type HubOptions, type SseHub } from './create_hub';
export { SseError } from './error';
export { run } from './run';
export { anonymous, authenticated, group, user } from './target';
export type { Authorize, AuthorizeContext, Grant, Groups } from './authorizer';
export type { SseEvent, SseMessage } from './event';
export type { SseEvents } from './events';
export type { SseStats } from './hub';
export type { CloseReason, SseResponse } from './connection';
export type { First, OpenOptions } from './open_options';
export type { SseConfig, SseHistory, SseOptions, SseRuns } from './options';
export type { SseProducer } from './production';
export type { RunReceipt } from './runs';
export type { Reach } from './reach';
export type { SseRequest } from './request';
export type { RequestSse } from './request_sse';
export type { SseSource } from './source';
export type { PipeOptions, SseStream } from './stream';
export type { SseThrottle, SseThrottles } from './throttle';
export type { ConfirmedReceipt, PublishOptions, Receipt, Sse, Total } from './sse';

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
  interface Context {
    sse: RequestSse;
  }
}
