/** What of Koa's context decides who answers. */
interface KoaContext {
  respond?: boolean;
  onerror(error: NodeJS.ErrnoException): void;
}

const HANG_UPS = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ETIMEDOUT']);

/** Takes a request's answer out of Koa's hands. A client that hangs up is then no error of the app, and in no log. */
export function takeAnswer(ctx: KoaContext): void {
  ctx.respond = false;
  const { onerror } = ctx;
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- this is Koa's handler, not an event's
  ctx.onerror = (error) => {
    if (!HANG_UPS.has(error?.code ?? '')) onerror.call(ctx, error);
  };
}
