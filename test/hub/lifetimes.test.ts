import assert from 'node:assert/strict';
import { HandClock } from '../support/hand_clock';
import { EPOCH, InHand, settled, type Visitor } from '../support/visitor';

const HOUR = 3_600_000;

/** Opens some streams of a key. */
async function open(process: InHand, count: number, key = 'a'): Promise<Visitor[]> {
  const visitors = Array.from({ length: count }, () => process.visit(`connectKey=${key}`));
  await settled();
  return visitors;
}

const byes = (visitors: readonly Visitor[]): unknown[] =>
  visitors.map((visitor) => (visitor.own('bye')[0] as { reason: string } | undefined)?.reason);

describe('the lifetime of a stream', () => {
  const clock = HandClock.forEach();

  it('is looked after by one timer, however often that is started, which keeps no process alive', () => {
    const { lifetimes } = new InHand().parts;
    for (let i = 0; i < 3; i++) lifetimes.start();
    assert.deepEqual([clock.waiting, clock.holding], [1, 0]);
  });

  it('is looked after each second, more often when it or its pings are short', () => {
    for (const [options, ms] of [
      [{ pingInterval: 15_000, maxAge: HOUR }, 1_000],
      [{ pingInterval: 5_000, maxAge: HOUR }, 500],
      [{ pingInterval: 0, maxAge: 5_000 }, 500],
      [{ pingInterval: 1_000, maxAge: 500 }, 50],
      [{ pingInterval: 100, maxAge: HOUR }, 20],
    ] as const) {
      clock.start();
      const process = new InHand(options);
      // Nor does it look for lost runs then.
      process.parts.hub.follow(false);
      process.parts.lifetimes.start();
      clock.advance(10_000);
      assert.equal(clock.rung, 10_000 / ms);
    }
  });

  it('has a ping after each pingInterval in which nothing was written, if its client takes it', async () => {
    const process = new InHand({ pingInterval: 10_000, maxAge: HOUR });
    const [quiet] = (await open(process, 1)) as [Visitor];
    const [busy, stuck] = (await open(process, 2, 'b')) as [Visitor, Visitor];
    stuck.response.isStuck = true;
    process.parts.lifetimes.start();
    for (let i = 0; i < 35; i++) {
      if (i % 5 === 0) process.say('b');
      await settled();
      clock.advance(1_000);
      await settled();
    }
    assert.deepEqual([quiet.pings, busy.pings, stuck.pings], [3, 0, 0]);
    assert.equal(stuck.data.length, 1);
  });

  it('has no pings when pingInterval is 0', async () => {
    const process = new InHand({ pingInterval: 0, maxAge: HOUR });
    const [visitor] = (await open(process, 1)) as [Visitor];
    process.parts.lifetimes.start();
    clock.advance(HOUR / 2);
    await settled();
    assert.equal(visitor.pings, 0);
  });

  it('ends between 0.8 and 1 maxAge', async () => {
    const process = new InHand({ maxAge: 100_000, pingInterval: 0 });
    const visitors = await open(process, 200);
    process.parts.lifetimes.start();
    clock.advance(79_000);
    assert.equal(process.parts.hub.count(), 200);
    clock.advance(11_000);
    const left = process.parts.hub.count();
    assert.ok(left > 50 && left < 150, `${left} are left halfway`);
    clock.advance(11_000);
    assert.equal(process.parts.hub.count(), 0);
    await settled();
    assert.deepEqual(new Set(byes(visitors)), new Set(['age']));
  });

  it('ends with its grant, and says so also when its age is over at the same time', async () => {
    const process = new InHand({ maxAge: 100_000, pingInterval: 0 });
    process.parts.authorizer.use(() => ({ expiresAt: Date.now() + 50_000 }));
    const visitors = await open(process, 2);
    process.parts.lifetimes.start();
    clock.advance(48_000);
    assert.equal(process.parts.hub.count(), 2);
    clock.advance(3_000);
    assert.deepEqual([process.parts.hub.count(), byes(visitors)], [0, ['expired', 'expired']]);
    const late = await open(process, 1);
    clock.now += 200_000;
    clock.advance(1_000);
    assert.deepEqual(byes(late), ['expired']);
  });

  it('is swept with the history, which lets go of what is too old though nothing comes', async () => {
    const process = new InHand({ history: { age: 10_000, count: 100, bytes: 1e6 } });
    process.parts.lifetimes.start();
    process.say('a');
    await settled();
    clock.advance(9_000);
    assert.equal(process.parts.hub.stats.historyMessages, 1);
    clock.advance(2_000);
    assert.equal(process.parts.hub.stats.historyMessages, 0);
  });

  it('goes on at its place once the order has come to where its client was', async () => {
    const process = new InHand();
    process.parts.lifetimes.start();
    const visitor = process.visit('connectKey=a', { headers: { 'last-event-id': `${EPOCH}-2` } });
    await process.caughtUp(false);
    process.say('a');
    clock.advance(1_000);
    await settled();
    for (let i = 0; i < 2; i++) process.say('a');
    await settled();
    assert.deepEqual(visitor.data, []);
    clock.advance(1_000);
    await settled();
    assert.deepEqual([visitor.data, visitor.own('gap')], [['3'], []]);
  });

  describe('when the worker is going', () => {
    it('is over, and no other begins; each is told when to come back, spread over a ms for each', async () => {
      const process = new InHand({ retry: 500 });
      process.parts.lifetimes.start();
      const visitors = await open(process, 1_500);
      await process.parts.lifetimes.drain();
      assert.deepEqual([process.parts.hub.count(), clock.waiting], [0, 0]);
      assert.deepEqual(new Set(byes(visitors)), new Set(['shutdown']));
      const retries = visitors.map(({ response }) => Number(/retry: (\d+)\n(?!.*retry: )/s.exec(response.text)![1]));
      assert.ok(Math.min(...retries) >= 500 && Math.max(...retries) <= 2_000);
      assert.ok(Math.max(...retries) - Math.min(...retries) > 1_200);
      await open(process, 1);
      assert.deepEqual([process.parts.hub.count(), process.refused], [0, ['ERR_SSE_SHUTDOWN']]);
    });

    it('is over after 3 s also for clients that take nothing', async () => {
      const process = new InHand();
      const [stuck, other] = (await open(process, 2)) as [Visitor, Visitor];
      stuck.response.isStuck = true;
      let isDone = false;
      void process.parts.lifetimes.drain().then(() => (isDone = true));
      await settled();
      assert.deepEqual(byes([other]), ['shutdown']);
      clock.advance(2_999);
      await settled();
      assert.deepEqual([isDone, stuck.isGone], [false, false]);
      clock.advance(1);
      await settled();
      assert.deepEqual([isDone, stuck.isGone], [true, true]);
    });

    it('may be over already: draining twice is safe', async () => {
      const process = new InHand();
      process.parts.lifetimes.start();
      const [visitor] = (await open(process, 1)) as [Visitor];
      await Promise.all([process.parts.lifetimes.drain(), process.parts.lifetimes.drain()]);
      await process.parts.lifetimes.drain();
      assert.equal(visitor.own('bye').length, 1);
    });
  });
});
