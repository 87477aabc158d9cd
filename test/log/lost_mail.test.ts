import assert from 'node:assert/strict';
import { Log } from '../../lib/log/log';
import { Readers } from '../../lib/log/readers';

const EPOCH = 'aaaaaaaa';

// How many mailboxes are remembered for what they lost.
const MANY = 16_384;

/** A log of mailboxes, in which one message waits for each key, and what the other processes are told. */
class Scene {
  readonly told: string[] = [];
  readonly taken: string[] = [];
  readonly log: Log;
  readonly readers: Readers;
  #seq = 0;

  constructor() {
    this.log = new Log({
      history: { age: 1e9, count: 1e9, bytes: 1e9 },
      mailbox: { keys: ['box:*'], age: 1e9, count: 1, bytes: 1e9 },
      taken: {
        take: (key, cursor) => void this.taken.push(`${key} ${cursor}`),
        tell: (key, cursor) => void this.told.push(`${key} ${cursor}`),
      },
    });
    this.readers = new Readers(this.log);
    this.log.arrive({ epoch: EPOCH, seq: 0 });
  }

  send(key: string): void {
    const seq = ++this.#seq;
    this.log.append({ keys: [key], body: `data: ${seq}\n` }, { epoch: EPOCH, seq });
  }

  /** Lets go of what is too much for its mailbox. */
  settle(): void {
    this.readers.settle(this.log.head);
  }

  /** Why the first who comes is told that mail is lost. */
  lossOf(key: string): unknown {
    return this.readers.begin([key]).gaps;
  }

  /** What the first who comes is given. */
  textsFor(key: string): string[] {
    return textsOf(this.readers.read(this.readers.begin([key]).reader, 1e9).frames);
  }
}

function textsOf(frames: Buffer | undefined): string[] {
  return frames?.toString().match(/(?<=data: ).*/g) ?? [];
}

const evicted = (key: string): unknown => [{ reason: 'evicted', keys: [key] }];

describe('mail that was lost before anyone took it', () => {
  it('is told of once, to whoever comes first, and the other processes hear that', () => {
    const scene = new Scene();
    for (let i = 0; i < 3; i++) scene.send('box:ann');
    scene.settle();
    assert.deepEqual(scene.lossOf('box:bob'), []);
    assert.deepEqual(scene.lossOf('box:ann'), evicted('box:ann'));
    assert.deepEqual(scene.told, [`box:ann ${EPOCH}-2`]);
    assert.deepEqual(scene.lossOf('box:ann'), []);
    assert.equal(scene.told.length, 1);
  });

  it('is not told of here any more when someone was told elsewhere, of it or of what came later', () => {
    for (const seq of [2, 3]) {
      const scene = new Scene();
      for (let i = 0; i < 3; i++) scene.send('box:ann');
      scene.settle();
      scene.log.mailboxes.onTold('box:ann', `${EPOCH}-1`);
      scene.log.mailboxes.onTold('box:ann', 'zzzzzzzz-9');
      scene.log.mailboxes.onTold('box:bob', `${EPOCH}-9`);
      assert.equal(scene.log.mailboxes.mail.lost.length, 1);
      scene.log.mailboxes.onTold('box:ann', `${EPOCH}-${seq}`);
      assert.deepEqual(scene.log.mailboxes.mail.lost, []);
      assert.deepEqual([scene.lossOf('box:ann'), scene.told], [[], []]);
      // What came before the place that they were told of comes too late.
      assert.deepEqual(scene.textsFor('box:ann'), seq === 2 ? ['3'] : []);
    }
  });

  it('is not told of when it was taken elsewhere after all', () => {
    const scene = new Scene();
    for (let i = 0; i < 3; i++) scene.send('box:ann');
    scene.settle();
    for (const cursor of ['zzzzzzzz-2', 'nonsense', `${EPOCH}-1`]) scene.log.mailboxes.onTaken('box:ann', cursor);
    assert.equal(scene.log.mailboxes.mail.lost.length, 1);
    scene.log.mailboxes.onTaken('box:ann', `${EPOCH}-2`);
    assert.deepEqual(scene.lossOf('box:ann'), []);
  });

  it('is not told of when a client that was behind has got it from the history', () => {
    const scene = new Scene();
    const { reader } = scene.readers.begin(['box:ann']);
    for (let i = 0; i < 3; i++) scene.send('box:ann');
    scene.settle();
    assert.equal(scene.log.mailboxes.mail.lost.length, 1);
    assert.deepEqual(textsOf(scene.readers.read(reader, 1).frames), ['1']);
    assert.deepEqual([scene.told, scene.taken], [[], []]);
    const { frames, gaps } = scene.readers.read(reader, 1e9);
    assert.deepEqual([textsOf(frames), gaps], [['2', '3'], []]);
    assert.deepEqual([scene.told, scene.taken], [[`box:ann ${EPOCH}-2`], [`box:ann ${EPOCH}-3`]]);
    assert.deepEqual(scene.lossOf('box:ann'), []);
  });

  it('is remembered for so many mailboxes, and forgotten of those that lost it longest ago', () => {
    const scene = new Scene();
    const lose = (i: number): void => {
      for (let j = 0; j < 2; j++) scene.send(`box:${i}`);
    };
    for (let i = 0; i < MANY; i++) lose(i);
    scene.settle();
    lose(0);
    lose(MANY);
    scene.settle();
    assert.equal(scene.log.mailboxes.mail.lost.length, MANY);
    assert.deepEqual(scene.lossOf('box:1'), []);
    assert.deepEqual(scene.lossOf('box:0'), evicted('box:0'));
    assert.deepEqual(scene.lossOf('box:2'), evicted('box:2'));
    assert.deepEqual(scene.lossOf(`box:${MANY}`), evicted(`box:${MANY}`));
  });
});
