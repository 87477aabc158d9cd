import assert from 'node:assert/strict';
import type { Connection } from '../../lib/connection/connection';
import { Unplaced } from '../../lib/hub/unplaced';
import { parseLastEventId } from '../../lib/order/cursor';
import { HandClock } from '../support/hand_clock';
import { ReadLog } from '../support/read_log';

const EPOCH = 'aaaaaaaa';

// How long a client that has heard more than this process waits for it to come there.
const BEHIND_MS = 10_000;

describe('Unplaced', () => {
  const clock = HandClock.forEach();

  /** Streams without a place, in a process that has heard the order up to place 5. */
  class Scene {
    readonly log = new ReadLog({ age: 1e9, count: 1e9, bytes: 1e9 });
    /** Those that were placed, by the id that they came with. */
    readonly placed: string[] = [];
    /** Settles each call of `catchUp`. */
    readonly catchUps: ((isDone: boolean) => void)[] = [];
    readonly unplaced: Unplaced;

    constructor() {
      this.log.begin({ epoch: EPOCH, seq: 5 });
      this.unplaced = new Unplaced({
        readers: this.log.readers,
        catchUp: () => new Promise((resolve) => void this.catchUps.push(resolve)),
        place: (_, lastEventId) => void this.placed.push(lastEventId?.text ?? 'none'),
      });
    }

    /** One that came now, with an id or none. */
    add(lastEventId?: string, isGreeted = true): Connection {
      const connection = { isGreeted, reader: this.log.readers.unplaced(['a']) } as Connection;
      const id = lastEventId === undefined ? undefined : parseLastEventId(lastEventId);
      this.unplaced.add(connection, id, performance.now());
      return connection;
    }

    /** The order comes so far. */
    hear(seq: number): void {
      this.log.begin({ epoch: EPOCH, seq });
    }

    /** Answers what has asked whether all is here; resolves when that has been heard. */
    async answer(isDone: boolean): Promise<void> {
      for (const settle of this.catchUps.splice(0)) settle(isDone);
      await new Promise(setImmediate);
    }

    /** Time passes, with the one timer that sweeps each second. */
    wait(ms: number): void {
      for (let left = ms; left > 0; left -= 1_000) {
        clock.advance(Math.min(left, 1_000));
        this.unplaced.sweep(performance.now());
      }
    }
  }

  const here = `${EPOCH}-5`;
  const ahead = `${EPOCH}-7`;

  it('places at once, as the order comes in sight, those without an id and those whose id it knows', () => {
    const scene = new Scene();
    for (const id of [undefined, here, ahead, 'nonsense', `${EPOCH}-2`]) scene.add(id);
    assert.equal(scene.unplaced.inSight, false);
    assert.deepEqual(scene.placed, []);
    scene.unplaced.follow(true);
    assert.equal(scene.unplaced.inSight, true);
    assert.deepEqual(scene.placed, ['none', here, `${EPOCH}-2`]);
  });

  it('places the others when all is here that anyone has heard', async () => {
    const scene = new Scene();
    for (const id of [ahead, 'nonsense']) scene.add(id);
    scene.unplaced.follow(true);
    // The broker says that the order is in sight before it is done with that.
    assert.equal(scene.catchUps.length, 0);
    await new Promise(setImmediate);
    assert.deepEqual([scene.catchUps.length, scene.placed], [1, []]);
    await scene.answer(true);
    assert.deepEqual(scene.placed, [ahead, 'nonsense']);
  });

  it('asks for nothing when nobody is behind', async () => {
    const scene = new Scene();
    scene.unplaced.follow(true);
    scene.add(here);
    scene.unplaced.follow(true);
    await new Promise(setImmediate);
    assert.deepEqual([scene.catchUps.length, scene.placed], [0, [here]]);
  });

  it('places one that came after the question only by what has come here', async () => {
    const scene = new Scene();
    scene.add(ahead);
    scene.unplaced.follow(true);
    await new Promise(setImmediate);
    scene.add(`${EPOCH}-9`);
    await scene.answer(true);
    assert.deepEqual(scene.placed, [ahead]);
    scene.hear(9);
    scene.wait(1_000);
    assert.deepEqual(scene.placed, [ahead, `${EPOCH}-9`]);
  });

  it('places one as soon as a sweep finds that the order has come to where it was', async () => {
    const scene = new Scene();
    scene.add(ahead);
    scene.unplaced.follow(true);
    await scene.answer(false);
    await scene.answer(false);
    scene.hear(6);
    scene.wait(1_000);
    assert.deepEqual(scene.placed, []);
    scene.hear(7);
    scene.wait(1_000);
    assert.deepEqual(scene.placed, [ahead]);
    scene.wait(60_000);
    assert.deepEqual([scene.placed, scene.catchUps.length], [[ahead], 0]);
  });

  it('gives up waiting after 10 s, once all has come that there is', async () => {
    const scene = new Scene();
    scene.unplaced.follow(true);
    scene.add('nonsense');
    scene.wait(BEHIND_MS);
    assert.equal(scene.catchUps.length, 0);
    scene.wait(1_000);
    assert.deepEqual([scene.catchUps.length, scene.placed], [1, []]);
    // Whether it could be found out or not.
    await scene.answer(false);
    assert.deepEqual(scene.placed, ['nonsense']);
  });

  it('counts these 10 s from when the order is in sight', async () => {
    const scene = new Scene();
    scene.add('nonsense');
    scene.wait(60_000);
    assert.deepEqual([scene.catchUps.length, scene.placed], [0, []]);
    scene.unplaced.follow(true);
    await new Promise(setImmediate);
    await scene.answer(false);
    scene.wait(BEHIND_MS);
    assert.deepEqual([scene.catchUps.length, scene.placed], [0, []]);
    scene.wait(1_000);
    await scene.answer(true);
    assert.deepEqual(scene.placed, ['nonsense']);
  });

  it('places nobody by a sweep while the order is out of sight', async () => {
    const scene = new Scene();
    scene.unplaced.follow(true);
    scene.add(ahead);
    scene.add('nonsense');
    scene.hear(7);
    scene.unplaced.follow(false);
    assert.equal(scene.unplaced.inSight, false);
    scene.wait(60_000);
    await scene.answer(true);
    assert.deepEqual(scene.placed, []);
    scene.unplaced.follow(true);
    assert.deepEqual(scene.placed, [ahead]);
  });

  it('leaves one that is not greeted to a later sweep', async () => {
    const scene = new Scene();
    const streams = [scene.add(here, false), scene.add(undefined, false)];
    scene.unplaced.follow(true);
    scene.wait(20_000);
    await scene.answer(true);
    assert.deepEqual(scene.placed, []);
    for (const stream of streams) stream.isGreeted = true;
    assert.deepEqual(scene.placed, []);
    scene.wait(1_000);
    assert.deepEqual(scene.placed, [here, 'none']);
  });

  it('places one that was not greeted when all had come, and whose id nobody knows, after 10 s at the latest', async () => {
    const scene = new Scene();
    const stream = scene.add('nonsense', false);
    scene.unplaced.follow(true);
    await new Promise(setImmediate);
    await scene.answer(true);
    assert.deepEqual(scene.placed, []);
    stream.isGreeted = true;
    scene.wait(BEHIND_MS + 1_000);
    await scene.answer(true);
    assert.deepEqual(scene.placed, ['nonsense']);
  });

  it('never places one that it has let go of, whatever it waited for', async () => {
    const scene = new Scene();
    const [known, behind, late] = [scene.add(here), scene.add(ahead), scene.add('nonsense')] as const;
    scene.unplaced.delete(known);
    scene.unplaced.follow(true);
    await new Promise(setImmediate);
    scene.unplaced.delete(behind);
    await scene.answer(false);
    scene.hear(7);
    scene.wait(BEHIND_MS + 1_000);
    assert.equal(scene.catchUps.length, 1);
    scene.unplaced.delete(late);
    await scene.answer(true);
    scene.wait(60_000);
    assert.deepEqual([scene.placed, scene.catchUps.length], [[], 0]);
  });

  it('places each once, though several sweeps ask', async () => {
    const scene = new Scene();
    scene.unplaced.follow(true);
    scene.add('nonsense');
    scene.wait(BEHIND_MS + 3_000);
    assert.ok(scene.catchUps.length > 1);
    await scene.answer(true);
    assert.deepEqual(scene.placed, ['nonsense']);
  });
});
