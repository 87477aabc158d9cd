import assert from 'node:assert/strict';
import { drive, type Plan } from './drive';
import type { FaultKind } from './kinds';

describe('every client gets every message once and in order', () => {
  it('while connections drop, clients stop reading, and workers and the agent are killed and stopped', async function () {
    const plan: Plan = {
      seed: 1,
      workers: 4,
      clients: 200,
      messages: 20_000,
      faults: { disconnect: 100, stall: 20, workerKill: 3, agentKill: 2, workerStop: 3 },
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
    for (const [kind, count] of Object.entries(plan.faults)) assert.ok((struck[kind as FaultKind] ?? 0) >= count, kind);
  });

  it('or the oracle finds it: of a worker that loses, repeats or swaps one delivery in a thousand', async () => {
    for (const [spoil, finding] of [
      ['drop:1000', 'lost'],
      ['repeat:1000', 'twice'],
      ['swap:1000', 'outOfOrder'],
    ] as const) {
      const verdict = await drive({ seed: 2, workers: 2, clients: 20, messages: 4_000, faults: {}, spoil });
      assert.ok(verdict[finding] > 0, `${spoil} was not found`);
    }
  });
});
