import assert from 'node:assert/strict';
import { RunWatch } from '../../lib/runs/watch';
import { eventually } from '../support/eventually';

/** A watch over two silent runs, and the answers that it gets. */
function watch(...polls: { claimed: readonly string[]; complete: boolean }[]): {
  watch: RunWatch;
  asked: string[][];
  lost: string[];
} {
  const asked: string[][] = [];
  const lost: string[] = [];
  const runWatch = new RunWatch({
    silentRuns: () => ['run:1', 'run:2'].filter((key) => !lost.includes(key)),
    ask: async (runs) => {
      const { claimed, complete } = polls[Math.min(asked.length, polls.length - 1)]!;
      asked.push([...runs]);
      return { answers: [claimed, []], complete };
    },
    onLost: async (key) => void lost.push(key),
  });
  return { watch: runWatch, asked, lost };
}

describe('the watch over runs', () => {
  it('gives up a run that nobody claims, when it has asked twice', async () => {
    const { watch: runs, asked, lost } = watch({ claimed: ['run:1'], complete: true });
    runs.look(true);
    await eventually(() => asked.length === 1);
    assert.deepEqual(lost, []);
    await eventually(() => lost.length > 0);
    assert.deepEqual([asked.length, lost], [2, ['run:2']]);
    runs.stop();
  });

  it('does not, as long as someone has not answered who may be slow', async () => {
    const {
      watch: runs,
      asked,
      lost,
    } = watch(
      { claimed: [], complete: true },
      { claimed: [], complete: false },
      { claimed: ['run:1'], complete: true },
      { claimed: ['run:1', 'run:2'], complete: true },
    );
    for (let polls = 1; polls <= 4; polls++) {
      runs.look(true);
      await eventually(() => asked.length === polls);
    }
    runs.stop();
    assert.deepEqual(lost, []);
  });
});
