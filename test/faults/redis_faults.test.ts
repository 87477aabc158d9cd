import assert from 'node:assert/strict';
import { describeWithRedis } from '../support/redis_server';
import { drive, type Plan } from './drive';
import { each, REDIS_KINDS, type FaultKind } from './kinds';

describeWithRedis('every client of two hosts gets every message once and in order', () => {
  it('while clients hop, processes are killed, and Redis and the links to it fail', async function () {
    const plan: Plan = {
      seed: 1,
      hosts: 2,
      workers: 2,
      clients: 60,
      messages: 6_000,
      faults: {
        disconnect: 50,
        stall: 10,
        workerKill: 2,
        agentKill: 1,
        workerStop: 2,
        ...each(REDIS_KINDS, 2),
      },
    };
    const { published, deliveries, struck, examples, without, longestMs, ...verdict } = await drive(plan);
    console.log(`${published} messages, ${deliveries} deliveries, ${JSON.stringify(struck)}, longest ${longestMs} ms`);
    const { lost, twice, outOfOrder, strange, gaps } = verdict;
    assert.deepEqual(
      { lost, twice, outOfOrder, strange, gaps },
      { lost: 0, twice: 0, outOfOrder: 0, strange: 0, gaps: 0 },
      examples.join('\n'),
    );
    assert.deepEqual(without, [], 'a fault had no effect');
    assert.ok(published >= plan.messages);
    for (const [kind, count] of Object.entries(plan.faults)) {
      assert.ok((struck[kind as FaultKind] ?? 0) >= count, kind);
    }
  });
});
