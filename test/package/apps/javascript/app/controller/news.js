'use strict';

const { Controller } = require('egg');
const { SseError } = require('egg-sse');

module.exports = class NewsController extends Controller {
  async create() {
    this.ctx.body = await this.app.sse.publish('news', { event: 'created', data: { id: 7 } });
  }

  async tell() {
    this.app.messenger.sendToAgent('news', {});
    this.ctx.body = {};
  }

  async mistake() {
    try {
      await this.app.sse.publish(1, 'no key');
    } catch (error) {
      this.ctx.body = { known: error instanceof SseError, code: error.code };
    }
  }

  async words() {
    await this.ctx.sse.open().pipe(['one', { event: 'two', data: 2 }]);
  }
};
