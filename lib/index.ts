import type { Context } from 'egg';
import { sseSchedule as makeSchedule } from './bridge/schedule/schedule';
import type { RequestSse } from './egg/ctx_sse';
import type { SseConfig } from './options/options';
import type { Sse } from './sse';

/**
 * Makes an Egg schedule of a function that loads something: one worker runs it, of the host or, with `config.sse.redis`,
 * of all hosts, and all their clients get the result whenever it has changed.
 *
 * Throws `SseError` `ERR_SSE_CONFIG` for an option that is wrong, so that the app does not start.
 */
export const sseSchedule = makeSchedule<Context>;
export type { Authorize, AuthorizeContext, Grant } from './access/authorizer';
export { SseError } from './base/error';
export type { SseLogger } from './base/logger';
export type { EggScheduleOptions, SseSchedule, SseScheduleOptions } from './bridge/schedule/schedule';
export type { CloseReason } from './connection/connection';
export type { SseRequest, SseResponse } from './connection/wire';
export { createHub, type HubOptions, type SseHub } from './create_hub';
export type { RequestSse } from './egg/ctx_sse';
export type { SseSource } from './http/source';
export type { PipeOptions, SseStream } from './http/stream';
export type { SseEvents } from './hub/events';
export type { SseStats } from './hub/hub';
export type { Gap } from './log/gaps';
export { anonymous, authenticated, group, run, user } from './message/keys';
export type { SseEvent, SseMessage } from './message/message';
export type { ConfirmedReceipt, PublishOptions, Receipt, Total } from './message/publish';
export type { Reach } from './message/reach';
export type { SseBridges, SsePublisher, SseRedisBridge, SseRoute, SseTarget } from './options/bridges';
export type { SseCors } from './options/cors';
export type { First, OpenOptions } from './options/open';
export type {
  Bounds,
  Groups,
  SseCompression,
  SseConfig,
  SseMailbox,
  SseOptions,
  SseThrottle,
  SseThrottles,
} from './options/options';
export type { RedisConfig, RedisOptions } from './options/redis';
export type { LossReason } from './order/broker';
export type { SseProducer } from './runs/production';
export type { RunReceipt } from './runs/runs';
export type { Sse } from './sse';

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
