'use strict';

/** Publishes once the stream is open, which shows that it got there, and fails. */
module.exports = () =>
  async function late(ctx, next) {
    await next();
    if (ctx.path === '/stream' && ctx.query.late !== undefined) {
      await ctx.app.sse.publish('late', 'about to throw');
      throw new Error('thrown after the stream was opened');
    }
  };
