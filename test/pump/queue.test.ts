import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Queue } from '../../lib/pump/queue';

describe('Queue', () => {
  it('gives back what was pushed, first in first out, however pushes and shifts are mixed', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat())), (steps) => {
        const queue = new Queue<number>();
        const model: number[] = [];
        for (const step of steps) {
          if (step === null) assert.equal(queue.shift(), model.shift());
          else {
            queue.push(step);
            model.push(step);
          }
        }
      }),
    );
  });
});
