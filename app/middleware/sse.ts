import type { Application, Context } from 'egg';
import { takeAnswer } from '../../lib/answer';
import { handOver } from '../../lib/context';

/** The stream endpoint: the last of the app's own middlewares, so that sessions and logins are there. */
export default (options: { path: string }, app: Application) =>
  async function sse(ctx: Context, next: () => Promise<unknown>): Promise<void> {
    if (ctx.path !== options.path) {
      await next();
      return;
    }
    takeAnswer(ctx);
    if (handOver(ctx.req, ctx)) return;
    await app.sse.endpoint.serve(ctx.req, ctx.res, ctx);
  };
