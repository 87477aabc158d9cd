import { Controller } from 'egg';
import { SseError } from 'egg-sse';

export default class NewsController extends Controller {
  async create(): Promise<void> {
    this.ctx.body = await this.app.sse.publish('news', { event: 'created', data: { id: 7 } });
  }

  async tell(): Promise<void> {
    this.app.messenger.sendToAgent('news', {});
    this.ctx.body = {};
  }

  async mistake(): Promise<void> {
    try {
      // @ts-expect-error: a key is a string
      await this.app.sse.publish(1, 'no key');
    } catch (error) {
      this.ctx.body = { known: error instanceof SseError, code: (error as SseError).code };
    }
  }

  async words(): Promise<void> {
    await this.ctx.sse.open().pipe(['one', { event: 'two', data: 2 }]);
  }
}
