import type { Application, Context } from 'egg';
import { handOver } from '../../lib/context';

const HANG_UPS = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ETIMEDOUT']);

/** The stream endpoint: the last of the app's own middlewares, so that sessions and logins are there. */
export default (options: { path: string }, app: Application) =>
  async function sse(ctx: Context, next: () => Promise<unknown>): Promise<void> {
    if (ctx.path !== options.path) {
      await next();
      return;
    }
    // From here on the answer is the plugin's: Koa must not touch it.
    ctx.respond = false;
    if (handOver(ctx.req, ctx)) return;
    // A client that hangs up is not an error of the app, and must not fill its error log.
    const { onerror } = ctx;
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- this is Koa's handler, not an event's
    ctx.onerror = (error: NodeJS.ErrnoException) => {
      if (!HANG_UPS.has(error?.code ?? '')) onerror.call(ctx, error);
    };
    await app.sse.endpoint.serve(ctx.req, ctx.res, ctx);
  };
