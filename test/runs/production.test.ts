import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Draft } from '../../lib/order/broker';
import type { Position } from '../../lib/order/cursor';
import { Production, type SseProducer } from '../../lib/runs/production';
import { eventually } from '../support/eventually';

/** An order that gives places when it is told to. */
class Order {
  readonly drafts: Draft[] = [];
  readonly #waiting: { resolve: (position: Position) => void; reject: (error: Error) => void }[] = [];

  readonly publish = (draft: Draft): Promise<Position> => {
    this.drafts.push(draft);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  };

  settle(count = this.#waiting.length): void {
    for (const { resolve } of this.#waiting.splice(0, count)) resolve({ epoch: 'aaaaaaaa', seq: 1 });
  }

  fail(): void {
    for (const { reject } of this.#waiting.splice(0)) reject(new Error('no order'));
  }
}

function follow(produce: SseProducer): { order: Order; production: Production; done: Promise<void> } {
  const order = new Order();
  const production = new Production('run:1', order.publish);
  return { order, production, done: production.follow(produce) };
}

describe('what produces a run', () => {
  it('waits when too much of it has no place in the order yet', async () => {
    let yielded = 0;
    const { order, done } = follow(async function* () {
      for (; yielded < 200; yielded++) yield { data: yielded };
    });
    await eventually(() => order.drafts.length === 64);
    for (let i = 0; i < 10; i++) await nextTurn();
    assert.deepEqual([order.drafts.length, yielded], [64, 64]);
    while (order.drafts.length < 200) {
      order.settle();
      await nextTurn();
    }
    order.settle();
    await done;
    assert.deepEqual(
      order.drafts.map(({ body }) => body),
      Array.from({ length: 200 }, (_, i) => `data: ${i}\n`),
    );
  });

  it('gathers pieces meanwhile, up to a length, and nothing is lost or out of its order', async () => {
    let yielded = 0;
    const { order, done } = follow(async function* () {
      for (; yielded < 20_000; yielded++) yield `${yielded % 10}`.repeat(10);
      yield { data: 'end' };
    });
    await eventually(() => yielded > 3_000);
    for (let i = 0; i < 10; i++) await nextTurn();
    assert.ok(yielded < 4_000, `${yielded} yielded`);
    assert.equal(order.drafts.length, 64);
    while (order.drafts.at(-1)!.body !== 'data: end\n') {
      order.settle(1);
      await nextTurn();
    }
    order.settle();
    await done;
    const texts = order.drafts.map(({ body }) => body.slice('data: '.length, -1));
    assert.equal(texts.pop(), 'end');
    assert.equal(texts.join(''), Array.from({ length: 20_000 }, (_, i) => `${i % 10}`.repeat(10)).join(''));
  });

  it('is aborted when it cannot be published, though it waits for something else', async () => {
    let signal: AbortSignal | undefined;
    const { order, done } = follow(async function* (given) {
      signal = given;
      yield 'a';
      await new Promise(() => undefined);
    });
    await eventually(() => order.drafts.length === 1);
    order.fail();
    await assert.rejects(done, /no order/);
    assert.equal(signal!.aborted, true);
  });

  it('may be anything that can be iterated, or a promise of it', async () => {
    const { order, done } = follow(async () => ReadableStream.from(['a', 'b']));
    await eventually(() => order.drafts.length === 2);
    order.settle();
    await done;
    assert.deepEqual(
      order.drafts.map(({ body }) => body),
      ['data: a\n', 'data: b\n'],
    );
  });
});
