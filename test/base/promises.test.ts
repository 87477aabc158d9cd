import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LoggedPromise } from '../../lib/base/promises';

describe('LoggedPromise', () => {
  it('tells of a failure that nobody awaits, once, without an unhandledRejection', async () => {
    const unhandled: unknown[] = [];
    const listener = (error: unknown): void => void unhandled.push(error);
    process.on('unhandledRejection', listener);
    const unheard: unknown[] = [];
    const failure = new Error('no');
    // oxlint-disable-next-line typescript/no-floating-promises -- that is the point
    LoggedPromise.of(Promise.reject(failure), (error) => unheard.push(error));
    await nextTurn();
    await nextTurn();
    process.off('unhandledRejection', listener);
    assert.deepEqual(unheard, [failure]);
    assert.deepEqual(unhandled, []);
  });

  it('leaves the failure to whoever awaits it, chains it or joins it to others', async () => {
    const unheard: unknown[] = [];
    const fail = (): LoggedPromise<never> =>
      LoggedPromise.of(Promise.reject(new Error('no')), (error) => unheard.push(error));
    await assert.rejects(async () => {
      await fail();
    }, /no/);
    await fail().catch(() => undefined);
    await Promise.allSettled([fail(), fail()]);
    await assert.rejects((async () => fail())(), /no/);
    await nextTurn();
    assert.deepEqual(unheard, []);
  });

  it('resolves with what it follows, and derives plain promises', async () => {
    const logged = LoggedPromise.of(Promise.resolve(7), () => assert.fail());
    assert.equal(await logged, 7);
    assert.equal(Object.getPrototypeOf(logged.then(() => 1)), Promise.prototype);
  });
});
