import type { Context } from 'egg';

/** Publishes once the stream is open, which shows that it got there, and fails. */
export default () =>
  async function late(ctx: Context, next: () => Promise<unknown>): Promise<void> {
    await next();
    if (ctx.path === '/stream' && ctx.query.late !== undefined) {
      await ctx.app.sse.publish('late', 'about to throw');
      throw new Error('thrown after the stream was opened');
    }
  };
