import assert from 'node:assert/strict';
import type { Grant } from '../../lib/access/authorizer';
import { InHand, settled, type Visitor } from '../support/visitor';

/** A process whose authorizer is answered by the test. */
class Scene extends InHand {
  /** The questions to the authorizer that wait, oldest first. */
  readonly waiting: { readonly keys: readonly string[]; grant(grant: Grant): void; refuse(error: Error): void }[] = [];

  constructor(options: Record<string, unknown> = {}) {
    super(options);
    this.parts.authorizer.use(
      (_, { keys }) => new Promise<Grant>((grant, refuse) => void this.waiting.push({ keys, grant, refuse })),
    );
  }

  /** One that is let in with these keys. */
  async open(keys: string[], grant: Grant = {}): Promise<Visitor> {
    const visitor = this.visit(keys.map((key) => `connectKey=${key}`).join('&'));
    await this.grant({ keys, ...grant });
    return visitor;
  }

  /** Answers the oldest question. */
  async grant(grant: Grant): Promise<void> {
    await settled();
    this.waiting.shift()!.grant(grant);
    await settled();
  }

  async refuse(error: Error): Promise<void> {
    await settled();
    this.waiting.shift()!.refuse(error);
    await settled();
  }

  async reauthorize(...keys: string[]): Promise<void> {
    this.deliver({ act: { do: 'reauthorize', keys } });
    await settled();
  }

  count(key: string): number {
    return this.parts.hub.count(key);
  }
}

const goodbye = (visitor: Visitor): unknown[] => visitor.own('bye');

describe('rights that change while a stream is open', () => {
  it('are asked of those that hold a key, with what they asked for', async () => {
    const scene = new Scene();
    await scene.open(['a', 'b'], { keys: ['a'] });
    await scene.open(['b']);
    await scene.reauthorize('a');
    assert.deepEqual(
      scene.waiting.map(({ keys }) => keys),
      [['a', 'b']],
    );
    await scene.grant({});
  });

  it('give and take keys from now on, without a break, and the client is told', async () => {
    const scene = new Scene();
    const closed: unknown[] = [];
    scene.parts.events.on('close', ({ keys, user, data }) => closed.push({ keys, user, data }));
    const visitor = await scene.open(['a', 'b'], { keys: ['a'] });
    await scene.reauthorize('a');
    await scene.grant({ keys: ['b'], user: 'ann', groups: ['g'], data: 7 });
    assert.deepEqual(visitor.own('grant'), [{ keys: ['b'], user: 'ann', groups: ['g'] }]);
    assert.deepEqual(
      [scene.count('a'), scene.count('b'), scene.count('@user:ann'), scene.count('@anonymous')],
      [0, 1, 1, 0],
    );
    scene.say('a');
    scene.say('b', '@group:g');
    await settled();
    assert.deepEqual([visitor.data, goodbye(visitor)], [['3'], []]);
    visitor.leave();
    await settled();
    assert.deepEqual([closed, scene.parts.hub.stats.pools], [[{ keys: ['b'], user: 'ann', data: 7 }], 0]);
  });

  it('leave the pools of those who hold the same as before as they are', async () => {
    const scene = new Scene();
    const [one, other] = [await scene.open(['a']), await scene.open(['a'])];
    await scene.reauthorize('a');
    await scene.grant({ keys: ['a'] });
    await scene.grant({ keys: ['a'] });
    scene.say('a');
    await settled();
    assert.deepEqual([scene.count('a'), one.data, other.data], [2, ['2'], ['2']]);
    one.leave();
    await settled();
    assert.equal(scene.count('a'), 1);
    other.leave();
    await settled();
    assert.equal(scene.parts.hub.stats.pools, 0);
  });

  it('end the stream of one that is refused, with the reason, and of no other', async () => {
    const scene = new Scene();
    const visitors = [await scene.open(['a']), await scene.open(['a'])];
    await scene.reauthorize('a');
    assert.equal(scene.waiting.length, 2);
    await scene.refuse(Object.assign(new Error('not any more'), { status: 403 }));
    await scene.grant({ keys: ['a'] });
    assert.deepEqual(visitors.flatMap(goodbye), [{ reason: 'not any more' }]);
    assert.equal(scene.count('a'), 1);
  });

  it('are nothing to one that has left while they were asked for', async () => {
    const scene = new Scene();
    const visitor = await scene.open(['a']);
    await scene.reauthorize('a');
    visitor.leave();
    await settled();
    const { text } = visitor.response;
    await scene.grant({ keys: ['b'] });
    assert.deepEqual([visitor.response.text, scene.count('b'), scene.parts.hub.stats.pools], [text, 0, 0]);
    assert.deepEqual(scene.logged, []);
  });

  it('are asked for 16 streams at once, until all were asked', async () => {
    const scene = new Scene();
    const visitors = [];
    for (let i = 0; i < 40; i++) visitors.push(await scene.open(['a']));
    await scene.reauthorize('a');
    assert.equal(scene.waiting.length, 16);
    for (let left = 40; left > 0; left--) {
      assert.equal(scene.waiting.length, Math.min(left, 16));
      await scene.grant({ keys: ['a'] });
    }
    assert.deepEqual(new Set(visitors.map((visitor) => visitor.own('grant').length)), new Set([1]));
  });

  it('end the streams that hold any of some keys, each once, when it is to be disconnected', async () => {
    const scene = new Scene();
    const [both, one, other] = [await scene.open(['a', 'b']), await scene.open(['b']), await scene.open(['c'])];
    scene.deliver({ act: { do: 'disconnect', keys: ['a', 'b'], reason: 'logged out' } });
    await settled();
    assert.deepEqual([both, one, other].map(goodbye), [[{ reason: 'logged out' }], [{ reason: 'logged out' }], []]);
    assert.equal(scene.parts.hub.count(), 1);
    assert.deepEqual(scene.waiting, []);
  });

  it('throttle a key that is new to a stream that had none of these', async () => {
    const scene = new Scene({ throttle: { 'p*': { interval: 60_000, keep: 'latest' } } });
    const visitor = await scene.open(['a', 'p'], { keys: ['a'] });
    await scene.reauthorize('a');
    await scene.grant({ keys: ['a', 'p'] });
    for (const key of ['p', 'p', 'a']) {
      scene.say(key);
      await settled();
    }
    assert.deepEqual(visitor.data, ['2', '4']);
    await scene.reauthorize('a');
    await scene.grant({ keys: ['a'] });
    for (const key of ['p', 'a']) scene.say(key);
    await settled();
    assert.deepEqual(visitor.data, ['2', '4', '7']);
  });
});
