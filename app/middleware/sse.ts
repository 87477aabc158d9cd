import type { Application, Context } from 'egg';

/** The stream endpoint: the last of the app's own middlewares, so that sessions and logins are there. */
export default (options: { path: string }, app: Application) =>
  async function sse(ctx: Context, next: () => Promise<unknown>): Promise<void> {
    if (ctx.path !== options.path) {
      await next();
      return;
    }
    // From here on the answer is the plugin's: Koa must not touch it.
    ctx.respond = false;
    app.sse.endpoint.serve(ctx.req, ctx.res);
  };
