import { Subscription } from 'egg';

/** A tick every second, by one worker of the host; the clients of all workers get it. */
export default class Ticker extends Subscription {
  static get schedule() {
    return { type: 'worker', interval: '1s', immediate: true };
  }

  async subscribe(): Promise<void> {
    await this.app.sse.publish('ticker', { event: 'tick', data: this.service.ticker.now() });
  }
}
