import { Subscription } from 'egg';

/** One worker of the host runs it, whichever; the clients of all of them get the tick. */
export default class Ticker extends Subscription {
  static get schedule() {
    return { type: 'worker', interval: '1s', immediate: true };
  }

  async subscribe(): Promise<void> {
    await this.app.sse.publish('ticker', { event: 'tick', data: this.service.ticker.now() });
  }
}
