import assert from 'node:assert/strict';
import { Outbox, type Numbered } from '../../lib/broker/outbox';

interface Draft {
  readonly body: string;
}

const PLACE = { epoch: 'epoch000', seq: 1 };
const MiB = 1024 * 1024;

/** Whether a promise has neither resolved nor rejected. */
function isPending(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  return Promise.race([promise, Promise.resolve(pending)]).then(
    (first) => first === pending,
    () => false,
  );
}

function bodiesOf(drafts: Iterable<Numbered<Draft>>): string[] {
  return Array.from(drafts, ({ draft }) => draft.body);
}

describe('the outbox', () => {
  let outbox: Outbox<Draft>;
  /** What is left in an outbox fails when it is closed; no test waits for that. */
  const add = (body: string): ReturnType<Outbox<Draft>['add']> => {
    const added = outbox.add({ body });
    added.promise.catch(() => undefined);
    return added;
  };

  beforeEach(() => (outbox = new Outbox<Draft>(60_000, 'the test did not order the message')));
  afterEach(() => outbox.close());

  describe('numbers', () => {
    it('begin at 1 and grow with each draft', () => {
      assert.deepEqual([add('a').number, add('b').number, add('c').number], [1, 2, 3]);
    });

    it('are not given again when a draft has its place', () => {
      const { number } = add('a');
      outbox.place(number, PLACE);
      assert.equal(add('b').number, number + 1);
    });

    it('are not spent on a draft that is refused', () => {
      const { number } = add('x'.repeat(31 * MiB));
      assert.throws(() => add('x'.repeat(2 * MiB)), { code: 'ERR_SSE_OUTBOX_FULL' });
      assert.equal(add('a').number, number + 1);
    });
  });

  describe('order', () => {
    it('is that of the calls, oldest first', () => {
      for (const body of ['a', 'b', 'c']) add(body);
      assert.deepEqual(bodiesOf(outbox.after()), ['a', 'b', 'c']);
    });

    it('keeps the place of a draft between others that are gone', () => {
      const [first, , third] = ['a', 'b', 'c', 'd'].map(add);
      outbox.place(third!.number, PLACE);
      outbox.place(first!.number, PLACE);
      assert.deepEqual(bodiesOf(outbox.after()), ['b', 'd']);
    });

    it('can be read after a number', () => {
      const [, second] = ['a', 'b', 'c', 'd'].map(add);
      assert.deepEqual(bodiesOf(outbox.after(second!.number)), ['c', 'd']);
    });
  });

  describe('a draft', () => {
    it('waits until it has its place, and resolves with it', async () => {
      const { number, promise } = add('a');
      assert.equal(await isPending(promise), true);
      outbox.place(number, PLACE);
      assert.deepEqual(await promise, PLACE);
      assert.equal(outbox.isEmpty, true);
    });

    it('gets its place once: a second one, and one of an unknown number, mean nothing', async () => {
      const { number, promise } = add('a');
      outbox.place(number + 1, { ...PLACE, seq: 7 });
      outbox.place(number, PLACE);
      outbox.place(number, { ...PLACE, seq: 9 });
      assert.deepEqual(await promise, PLACE);
    });

    it('is the one that was added, unchanged', () => {
      const draft = { body: 'a' };
      outbox.add(draft).promise.catch(() => undefined);
      assert.equal([...outbox.after()][0]!.draft, draft);
    });
  });

  describe('the bound in bytes', () => {
    it('refuses a draft that would pass it, with what is waiting and what to do', () => {
      add('x'.repeat(20 * MiB));
      assert.throws(() => add('x'.repeat(20 * MiB)), {
        code: 'ERR_SSE_OUTBOX_FULL',
        status: 503,
        message: /^1 messages wait .* of at most 33554432; await each publish, or publish less$/,
      });
      assert.equal([...outbox.after()].length, 1);
    });

    it('lets one draft in that is larger than all of it, when nothing else waits', () => {
      const { number } = add('x'.repeat(40 * MiB));
      assert.throws(() => add(''), { code: 'ERR_SSE_OUTBOX_FULL' });
      outbox.place(number, PLACE);
      add('');
    });

    it('counts what a draft costs besides its text: empty ones are not free', () => {
      let count = 0;
      assert.throws(
        () => {
          for (; count < 1e6; count++) add('');
        },
        { code: 'ERR_SSE_OUTBOX_FULL' },
      );
      assert.equal(count, (32 * MiB) / 512);
    });

    it('has room again when a draft has its place, and when one has expired', async () => {
      outbox = new Outbox<Draft>(0, 'the test did not order the message');
      const { number } = add('x'.repeat(30 * MiB));
      assert.throws(() => add('x'.repeat(30 * MiB)), { code: 'ERR_SSE_OUTBOX_FULL' });
      outbox.place(number, PLACE);
      const { promise } = add('x'.repeat(30 * MiB));
      outbox.expire();
      await assert.rejects(promise, { code: 'ERR_SSE_UNAVAILABLE' });
      add('x'.repeat(30 * MiB));
    });
  });

  describe('patience', () => {
    it('ends with an error that says what did not happen, for how long, and what may be', async () => {
      outbox = new Outbox<Draft>(0, 'the test did not order the message');
      const { promise } = add('a');
      outbox.expire();
      await assert.rejects(promise, {
        code: 'ERR_SSE_UNAVAILABLE',
        status: 503,
        message:
          'the test did not order the message in 0 ms; it may still be sent: publish it again if it may come twice',
      });
      assert.deepEqual(bodiesOf(outbox.after()), []);
    });

    it('is the same for each draft, from when it was added: a younger one waits on', async () => {
      const { now } = performance;
      let time = now.call(performance);
      performance.now = () => time;
      try {
        const old = add('old');
        time += 30_000;
        const young = add('young');
        outbox.expire();
        assert.equal(await isPending(old.promise), true);
        time += 30_000;
        outbox.expire();
        assert.equal(await isPending(young.promise), true);
        await assert.rejects(old.promise, { code: 'ERR_SSE_UNAVAILABLE' });
        assert.deepEqual(bodiesOf(outbox.after()), ['young']);
      } finally {
        performance.now = now;
      }
    });

    it('is not over as long as `expire` finds it so: a draft that gets its place late has it', async () => {
      outbox = new Outbox<Draft>(0, 'the test did not order the message');
      const { number, promise } = add('a');
      outbox.place(number, PLACE);
      outbox.expire();
      assert.deepEqual(await promise, PLACE);
    });
  });

  describe('drain', () => {
    it('resolves at once when nothing waits', async () => {
      await outbox.drain(60_000);
    });

    it('resolves when the last draft has its place', async () => {
      const [first, second] = [add('a'), add('b')];
      const drained = outbox.drain(60_000);
      outbox.place(second.number, PLACE);
      assert.equal(await isPending(drained), true);
      outbox.place(first.number, PLACE);
      await drained;
    });

    it('gives up after its ms, and leaves what waits', async () => {
      const { promise } = add('a');
      await outbox.drain(1);
      assert.equal(await isPending(promise), true);
      assert.equal(outbox.isEmpty, false);
    });
  });

  describe('once closed', () => {
    it('fails what waits, and says that it may have been sent', async () => {
      const drafts = [add('a'), add('b')];
      outbox.close();
      for (const { promise } of drafts) {
        await assert.rejects(promise, {
          code: 'ERR_SSE_STOPPED',
          status: 503,
          message: 'this process is going; the message may or may not be sent',
        });
      }
      assert.equal(outbox.isEmpty, true);
    });

    it('refuses more, and may be closed again', () => {
      outbox.close();
      outbox.close();
      assert.throws(() => add('a'), { code: 'ERR_SSE_STOPPED' });
    });

    it('has resolved what waits for it to be drained', async () => {
      add('a');
      const drained = outbox.drain(60_000);
      outbox.close();
      await drained;
    });
  });
});
