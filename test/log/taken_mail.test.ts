import assert from 'node:assert/strict';
import { TakenMail, type TakeAct } from '../../lib/log/taken_mail';
import { eventually } from '../support/eventually';
import { HandClock } from '../support/hand_clock';

/** What was taken here, and what was published of it: each publish waits for the test when it is to. */
class Scene {
  readonly acts: TakeAct[] = [];
  /** Settles the publishes that wait, oldest first. */
  readonly waiting: { resolve(): void; reject(error: Error): void }[] = [];
  readonly taken: TakenMail;

  constructor({ waits = false } = {}) {
    this.taken = new TakenMail(async (act) => {
      this.acts.push(act);
      if (waits) await new Promise<void>((resolve, reject) => void this.waiting.push({ resolve, reject }));
    });
  }
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('TakenMail', () => {
  // It says how much may be told.
  const clock = HandClock.forEach();

  it('tells together what one turn takes and what it was told of, at once', async () => {
    const { taken, acts } = new Scene();
    taken.take('a', 'x-1');
    taken.take('b', 'x-2');
    taken.take('a', 'x-3');
    taken.tell('a', 'x-4');
    taken.tell('a', 'x-5');
    assert.deepEqual(acts, []);
    await turn();
    assert.deepEqual(acts, [
      {
        do: 'take',
        taken: [
          { key: 'a', cursors: ['x-1', 'x-3'] },
          { key: 'b', cursors: ['x-2'] },
        ],
        told: [{ key: 'a', cursor: 'x-5' }],
      },
    ]);
    await turn();
    assert.equal(acts.length, 1);
  });

  it('tells one thing at a time: what is taken meanwhile goes together', async () => {
    const { taken, acts, waiting } = new Scene({ waits: true });
    for (let i = 1; i <= 3; i++) {
      taken.take('a', `x-${i}`);
      await turn();
    }
    assert.equal(acts.length, 1);
    waiting.shift()!.resolve();
    await turn();
    assert.deepEqual(acts[1]!.taken, [{ key: 'a', cursors: ['x-2', 'x-3'] }]);
  });

  it('tells again what could not be told, before what came meanwhile, and nothing older than what it says now', async () => {
    const { taken, acts, waiting } = new Scene({ waits: true });
    taken.take('a', 'x-1');
    taken.tell('a', 'x-2');
    taken.tell('b', 'x-3');
    await turn();
    taken.take('a', 'x-4');
    taken.tell('a', 'x-5');
    waiting.shift()!.reject(new Error('the order is out of sight'));
    await turn();
    assert.deepEqual(acts[1], {
      do: 'take',
      taken: [{ key: 'a', cursors: ['x-1', 'x-4'] }],
      told: [
        { key: 'a', cursor: 'x-5' },
        { key: 'b', cursor: 'x-3' },
      ],
    });
    waiting.shift()!.resolve();
    await turn();
    assert.equal(acts.length, 2);
  });

  it('tells 20 times in a row, then ten times a second, all that was taken in between', async () => {
    const { taken, acts } = new Scene();
    for (let i = 1; i <= 30; i++) {
      taken.take('a', `x-${i}`);
      await turn();
    }
    assert.equal(acts.length, 20);
    clock.advance(110);
    await eventually(() => acts.length > 20);
    assert.deepEqual(
      acts[20]!.taken[0]!.cursors,
      Array.from({ length: 10 }, (_, i) => `x-${21 + i}`),
    );
    taken.take('a', 'x-31');
    await turn();
    assert.equal(acts.length, 21);
    clock.advance(3_600_000);
    await eventually(() => acts.length === 22);
    // Who was silent for an hour may not tell more at once than who has just come.
    for (let i = 0; i < 30; i++) {
      taken.take('a', `y-${i}`);
      await turn();
    }
    assert.equal(acts.length, 22 + 19);
    taken.stop();
  });

  it('tells what is left when it stops, also what waits for its time, and nothing afterwards', async () => {
    const { taken, acts } = new Scene();
    for (let i = 1; i <= 25; i++) {
      taken.take('a', `x-${i}`);
      await turn();
    }
    taken.stop();
    assert.equal(acts.length, 21);
    assert.deepEqual(acts[20]!.taken[0]!.cursors, ['x-21', 'x-22', 'x-23', 'x-24', 'x-25']);
    taken.stop();
    taken.take('a', 'late');
    clock.advance(1_000);
    await turn();
    assert.equal(acts.length, 21);
  });

  it('tells nothing of what is taken after it has stopped', async () => {
    const { taken, acts } = new Scene();
    taken.stop();
    taken.take('a', 'x-1');
    await turn();
    assert.deepEqual(acts, []);
  });

  it('fails nobody when what is left cannot be told', async () => {
    const { taken, waiting } = new Scene({ waits: true });
    taken.take('a', 'x-1');
    taken.stop();
    waiting.shift()!.reject(new Error('the order is out of sight'));
    // It would be an unhandledRejection.
    await turn();
  });
});
