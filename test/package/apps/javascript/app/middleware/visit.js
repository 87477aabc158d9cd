'use strict';

/** What a login or a session does: it has its say before the stream opens. */
module.exports = () =>
  async function visit(ctx, next) {
    ctx.set('X-Visit', 'seen');
    ctx.cookies.set('visit', 'seen');
    await next();
  };
