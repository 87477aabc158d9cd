import type { Application, Context } from 'egg';
import { mark, REQUEST } from '../../lib/cause';

/**
 * The first of all middlewares: marks what a request starts as caused by it, and refuses methods that open no stream
 * before a body is read or a CSRF token asked for.
 */
export default (_options: unknown, app: Application) =>
  async function sseDoor(ctx: Context, next: () => Promise<unknown>): Promise<void> {
    const { path, enable } = app.config.sse as { path: string; enable?: boolean };
    if (enable !== false && ctx.path === path && app.sse.endpoint.refuseMethod(ctx.req, ctx.res)) {
      ctx.respond = false;
      return;
    }
    mark(ctx, REQUEST);
    await next();
  };
