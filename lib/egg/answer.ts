import type { SseStream } from '../http/stream';

/** The part of Koa's context that decides whether Koa answers. */
export interface KoaContext {
  respond?: boolean;
  readonly res: { readonly socket: { readonly destroyed: boolean } | null };
  readonly app: { emit(event: 'error', error: Error, ctx: object): unknown };
  onerror(error: NodeJS.ErrnoException | null): void;
}

const HANG_UPS = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ETIMEDOUT']);

/** Keeps Koa from answering a request. A client that hangs up is then no error of the app, and in no log. */
export function answerWithoutKoa(ctx: Pick<KoaContext, 'respond' | 'onerror'>): void {
  ctx.respond = false;
  const { onerror } = ctx;
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- this is Koa's handler, not an event's
  ctx.onerror = (error) => {
    if (!HANG_UPS.has(error?.code ?? '')) onerror.call(ctx, error);
  };
}

/**
 * Makes a stream a request's answer. An error that the handler throws ends the stream with `sse:error` and is
 * logged as Koa logs it, but Koa writes nothing. An error that only says that the stream is over is none of the app's.
 */
export function answerByStream(ctx: KoaContext, stream: SseStream): void {
  ctx.respond = false;
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- this is Koa's handler, not an event's
  ctx.onerror = (error) => {
    // Koa calls this at the end of every response, without an error if that went well.
    if (error === null || error === undefined || stream.isOverBy(error)) return;
    if (HANG_UPS.has(error.code ?? '') && ctx.res.socket?.destroyed !== false) return;
    stream.fail(error);
    ctx.app.emit(
      'error',
      error instanceof Error ? error : new Error('a value that is no Error was thrown', { cause: error }),
      ctx,
    );
  };
}
