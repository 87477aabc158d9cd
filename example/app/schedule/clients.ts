import { Subscription } from 'egg';

/** Every worker runs it and tells its own clients. What is true for a moment only has no place in the history. */
export default class Clients extends Subscription {
  static get schedule() {
    return { type: 'all', interval: '2s' };
  }

  async subscribe(): Promise<void> {
    await this.app.sse.publish('cluster', { event: 'clients', data: await this.app.sse.total() });
  }
}
