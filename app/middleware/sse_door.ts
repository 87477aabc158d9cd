import type { Application, Context } from 'egg';
import { takeAnswer } from '../../lib/answer';
import { Publisher } from '../../lib/bridge/publisher';
import { mark, REQUEST } from '../../lib/cause';
import { checkOptions } from '../../lib/options';

/**
 * The first of all middlewares: marks what a request starts as caused by it, publishes what other services post, and
 * refuses methods that open no stream, before a body is read or a CSRF token asked for.
 */
export default (_options: unknown, app: Application) => {
  const { path, publisher: options } = checkOptions(app.config.sse);
  const { enable } = app.config.sse as { enable?: boolean };
  const publisher = Publisher.of(app.sse, options);

  return async function sseDoor(ctx: Context, next: () => Promise<unknown>): Promise<void> {
    if (enable !== false && ctx.path === path) {
      if (publisher !== undefined && ctx.method === 'POST') {
        takeAnswer(ctx);
        await publisher.serve(ctx.req, ctx.res);
        return;
      }
      if (app.sse.endpoint.refuseMethod(ctx.req, ctx.res)) {
        ctx.respond = false;
        return;
      }
    }
    mark(ctx, REQUEST);
    await next();
  };
};
