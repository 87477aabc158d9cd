'use strict';

module.exports = class NewsBoot {
  constructor(app) {
    this.app = app;
  }

  async didReady() {
    const { app } = this;
    if (app.redis === undefined) return;
    // As README 1.x has it: a listener in every worker.
    const subscriber = app.redis.get('news').duplicate();
    subscriber.on('message', (channel, message) => app.sse.publish('news', message));
    await subscriber.subscribe('headlines');
  }
};
