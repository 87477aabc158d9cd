'use strict';

module.exports = ({ router, sse }) => {
  router.get('/count', (ctx) => {
    ctx.body = { connections: sse.countAll() };
  });

  // What is published says its number, and when that was.
  router.get('/publish', async (ctx) => {
    ctx.body = await sse.publish('news', `${ctx.query.number} ${process.hrtime.bigint()}`);
  });
};
