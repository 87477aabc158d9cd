import type { Context } from 'egg';
import { sseSchedule as makeSchedule } from './bridge/schedule/schedule';
import type { SseConfig } from './options/options';
import type { RequestSse } from './egg/ctx_sse';
import type { Sse } from './sse';

/**
 * Makes an Egg schedule of a function that loads something: one worker runs it, of the host or, with `config.sse.redis`,
 * of all hosts, and all their clients get the result whenever it has changed.
 *
 * Throws `SseError` `ERR_SSE_CONFIG` for an option that is wrong, so that the app does not start.
 */
export const sseSchedule = makeSchedule<Context>;
export type { SseSchedule, SseScheduleOptions } from './bridge/schedule/schedule';
export type { SseBridges, SsePublisher, SseRedisBridge, SseRoute, SseTarget } from './options/bridges';
export type { SseCompression } from './connection/compression';
export type { SseCors } from './http/cors';
export { createHub, type HubOptions, type SseHub } from './create_hub';
export { SseError } from './base/error';
export { run } from './message/run';
export { anonymous, authenticated, group, user } from './message/keys';
export type { Authorize, AuthorizeContext, Grant, Groups } from './access/authorizer';
export type { SseEvent, SseMessage } from './message/message';
export type { SseEvents } from './hub/events';
export type { SseStats } from './hub/hub';
export type { CloseReason } from './connection/connection';
export type { SseRequest, SseResponse } from './connection/wire';
export type { First, OpenOptions } from './options/open';
export type { SseConfig, SseHistory, SseOptions, SseRuns } from './options/options';
export type { SseProducer } from './runs/production';
export type { RunReceipt } from './runs/runs';
export type { Reach } from './message/reach';
export type { RequestSse } from './egg/ctx_sse';
export type { SseSource } from './http/source';
export type { PipeOptions, SseStream } from './http/stream';
export type { SseThrottle, SseThrottles } from './log/throttle';
export type { ConfirmedReceipt, PublishOptions, Receipt, Sse, Total } from './sse';

declare module './access/authorizer' {
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
