import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Compression } from '../../lib/connection/compression';
import type { SharedDeflate } from '../../lib/connection/deflate';
import { KeySets, type KeySet } from '../../lib/connection/key_sets';
import { ThrottleRules } from '../../lib/log/throttle';
import type { SseThrottles } from '../../lib/options/options';

/** Counts what key sets take of it and give back. */
class CountedCompression extends Compression {
  shared = 0;
  released = 0;

  override share(keys: readonly string[]): SharedDeflate {
    this.shared++;
    return super.share(keys);
  }

  override release(): void {
    this.released++;
    super.release();
  }
}

function makeKeySets({ throttle = {}, except = [] }: { throttle?: SseThrottles; except?: string[] } = {}): {
  sets: KeySets;
  compression: CountedCompression;
} {
  const compression = new CountedCompression({ level: 6, except });
  return { sets: new KeySets(new ThrottleRules(throttle), compression), compression };
}

// Every stream holds it.
const ALL = '@all';

describe('KeySets', () => {
  it('gives those who hold the same keys one set, whose array is the same, in whichever order they name them', () => {
    const { sets } = makeKeySets();
    const set = sets.hold([ALL, 'a', 'b'], false);
    assert.deepEqual(set.keys, [ALL, 'a', 'b']);
    for (const keys of [
      [ALL, 'a', 'b'],
      ['b', ALL, 'a'],
      ['a', 'b', ALL],
    ])
      assert.equal(sets.hold(keys, false), set);
    assert.equal(set.holders, 4);
  });

  it('gives those of other keys another set', () => {
    const { sets } = makeKeySets();
    const all = [[ALL], [ALL, 'a'], [ALL, 'b'], [ALL, 'a', 'b'], [ALL, 'a,b'], [ALL, 'a","b']];
    assert.equal(new Set(all.map((keys) => sets.hold(keys, false))).size, all.length);
  });

  it('gives those who are told the keys of each message a set of their own, which they share', () => {
    const { sets } = makeKeySets();
    for (const keys of [[ALL], [ALL, 'a', 'b']]) {
      const [plain, showing] = [sets.hold(keys, false), sets.hold(keys, true)];
      assert.notEqual(plain, showing);
      assert.equal(sets.hold([...keys].reverse(), true), showing);
      assert.equal(sets.hold([...keys].reverse(), false), plain);
    }
  });

  it('leaves what it was given as it is', () => {
    const { sets } = makeKeySets();
    const keys = Object.freeze(['b', ALL, 'a']);
    for (const showsKeys of [true, false]) assert.deepEqual(sets.hold(keys, showsKeys).keys, ['b', ALL, 'a']);
  });

  it('forgets a set when the last who holds it lets go of it', () => {
    const { sets } = makeKeySets();
    const set = sets.hold([ALL, 'a'], false);
    sets.hold([ALL, 'a'], false);
    sets.release(set);
    assert.equal(sets.hold([ALL, 'a'], false), set);
    sets.release(set);
    sets.release(set);
    const next = sets.hold([ALL, 'a'], false);
    assert.notEqual(next, set);
    assert.equal(next.holders, 1);
  });

  it('says what of its keys is throttled', () => {
    const { sets } = makeKeySets({ throttle: { 'p*': { interval: 100, keep: 'latest' } } });
    const { throttled } = sets.hold([ALL, 'price', 'news'], false);
    assert.deepEqual([...throttled!.intervals], [['price', 100]]);
    assert.deepEqual([...throttled!.all], [ALL, 'price', 'news']);
    assert.equal(sets.hold([ALL, 'news'], false).throttled, undefined);
  });

  it('compresses nothing without compression, and not what is excepted', () => {
    assert.equal(new KeySets(new ThrottleRules({}), undefined).compresses([ALL, 'a']), false);
    const { sets } = makeKeySets({ except: ['secret:*'] });
    assert.equal(sets.compresses([ALL, 'a']), true);
    assert.equal(sets.compresses([ALL, 'a', 'secret:1']), false);
  });

  it('has one deflate for all who hold a set, made when the first of them needs it, and gives it back once', () => {
    const { sets, compression } = makeKeySets();
    const set = sets.hold([ALL, 'a'], false);
    assert.deepEqual([set.deflate, compression.shared], [undefined, 0]);
    const deflate = sets.deflateOf(set);
    assert.equal(sets.deflateOf(sets.hold(['a', ALL], false)), deflate);
    assert.notEqual(sets.deflateOf(sets.hold([ALL, 'a'], true)), deflate);
    assert.equal(compression.shared, 2);
    sets.release(set);
    assert.equal(compression.released, 0);
    sets.release(set);
    assert.equal(compression.released, 1);
    assert.notEqual(sets.deflateOf(sets.hold([ALL, 'a'], false)), deflate);
    assert.deepEqual([compression.shared, compression.released], [3, 1]);
  });

  it('gives back no deflate of a set that had none, also without compression', () => {
    const { sets, compression } = makeKeySets();
    sets.release(sets.hold([ALL, 'a'], false));
    assert.equal(compression.released, 0);
    const plain = new KeySets(new ThrottleRules({}), undefined);
    plain.release(plain.hold([ALL, 'a'], false));
  });

  it('takes no two sets for the same, also when a key looks like what others are written as (fuzzed)', () => {
    const name = fc.oneof(
      fc.string(),
      fc.constantFrom('a', 'b', '__proto__', 'keys', '["a","b"]', '{"keys":["a"]}'),
      fc.array(fc.constantFrom('a', 'b', ALL)).map((keys) => JSON.stringify(keys)),
      fc.array(fc.constantFrom('a', 'b', ALL)).map((keys) => JSON.stringify({ keys })),
    );
    const held = fc.record({
      keys: fc.uniqueArray(name, { maxLength: 3 }).map((keys) => [ALL].concat(keys.filter((key) => key !== ALL))),
      showsKeys: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(held, { minLength: 2, maxLength: 10 }), (all) => {
        const { sets } = makeKeySets();
        const found = new Map<KeySet, { keys: Set<string>; showsKeys: boolean }>();
        for (const { keys, showsKeys } of all) {
          const set = sets.hold(keys, showsKeys);
          const known = found.get(set) ?? { keys: new Set(keys), showsKeys };
          assert.deepEqual({ keys: new Set(keys), showsKeys }, known);
          found.set(set, known);
        }
        const isSame = (a: (typeof all)[number], b: (typeof all)[number]): boolean =>
          a.showsKeys === b.showsKeys && a.keys.length === b.keys.length && a.keys.every((key) => b.keys.includes(key));
        const different = all.filter((each, i) => all.findIndex((other) => isSame(each, other)) === i);
        assert.equal(found.size, different.length);
      }),
    );
  });
});
