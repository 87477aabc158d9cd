import assert from 'node:assert/strict';
import { type Broker, type Poll, type Replica, NO_LOSSES } from '../../lib/order/broker';
import type { Position } from '../../lib/order/cursor';
import { plainServers } from '../support/plain';
import { Stream } from '../support/stream';

const EPOCH = 'abcdefgh';

/** An order that a test hands over piece by piece. */
class HandedOrder implements Broker {
  replica!: Replica;
  /** Settles the calls of `catchUp` that wait. */
  caughtUp: (done: boolean) => void = () => undefined;
  readonly asked: Promise<void>;
  #ask!: () => void;

  constructor() {
    this.asked = new Promise((resolve) => (this.#ask = resolve));
  }

  async start(replica: Replica): Promise<void> {
    this.replica = replica;
    replica.enter(EPOCH, NO_LOSSES);
    replica.follow(false);
  }

  /** The message of a place. */
  deliver(seq: number): void {
    this.replica.deliver({ keys: ['a'], body: `data: ${seq}\n` }, { epoch: EPOCH, seq });
  }

  async publish(): Promise<Position> {
    throw new Error('nobody publishes');
  }

  catchUp(): Promise<boolean> {
    this.#ask();
    return new Promise((resolve) => (this.caughtUp = resolve));
  }

  async ask(): Promise<Poll> {
    return { answers: [], complete: true };
  }

  async stop(): Promise<void> {
    this.caughtUp(false);
  }
}

describe('a client that comes while the order is out of sight', () => {
  const start = plainServers();

  it('goes on where it was when it has heard more than has come here by the time that the order is back', async () => {
    const order = new HandedOrder();
    const { url } = await start({}, order);
    const opening = Stream.open(`${url}?connectKey=a`, { headers: { 'last-event-id': `${EPOCH}-5` } });
    await order.asked;
    order.caughtUp(false);
    const stream = await opening;
    await stream.until(({ events }) => events.length > 0);
    order.replica.arrive({ epoch: EPOCH, seq: 3 });
    order.replica.follow(true);
    for (const seq of [4, 5]) order.deliver(seq);
    await new Promise(setImmediate);
    order.caughtUp(true);
    await new Promise(setImmediate);
    order.deliver(6);
    await stream.untilMessages(1);
    assert.deepEqual(stream.data, ['6']);
    assert.deepEqual(stream.own('gap'), []);
    stream.close();
  });

  it('is told that its id is unknown as soon as all that there is has come', async () => {
    const order = new HandedOrder();
    const { url } = await start({}, order);
    const opening = Stream.open(`${url}?connectKey=a`, { headers: { 'last-event-id': 'nonsense' } });
    await order.asked;
    order.caughtUp(false);
    const stream = await opening;
    order.replica.arrive({ epoch: EPOCH, seq: 3 });
    order.replica.follow(true);
    await new Promise(setImmediate);
    order.caughtUp(true);
    await stream.until((each) => each.own('gap').length > 0);
    assert.deepEqual(JSON.parse(stream.own('gap')[0]!.data), { reason: 'unknown', keys: ['@all', '@anonymous', 'a'] });
    stream.close();
  });
});
