import { Subscription } from 'egg';
import { AUDIENCES } from '../../lib/people';

/** Counts of streams, by audience. Every worker tells its own clients: a count of the moment needs no history. */
export default class Clients extends Subscription {
  static get schedule() {
    return { type: 'all', interval: '2s' };
  }

  async subscribe(): Promise<void> {
    const { sse } = this.app;
    const here = [...AUDIENCES].map(async ([name, key]) => [name, (await sse.total(key)).clients] as const);
    const [total, ...counts] = await Promise.all([sse.total(), ...here]);
    await sse.publish('cluster', { event: 'clients', data: { ...total, here: Object.fromEntries(counts) } });
  }
}
