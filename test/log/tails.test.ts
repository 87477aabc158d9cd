import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { Archive } from '../../lib/log/archive';
import type { Entry } from '../../lib/log/entry';
import { Epochs, isAfter } from '../../lib/log/epochs';
import { belongs, Tail, Tails, type Loss, type RunState } from '../../lib/log/tails';
import { NO_LOSSES, type LossReason, type RunPart } from '../../lib/order/broker';

/** What a tail looks at of an entry. */
type Part = Pick<Entry, 'offset' | 'keys' | 'term' | 'seq' | 'inOrder' | 'waits' | 'run' | 'tailCount'>;

function makeEntry(part: Partial<Part> & { offset: number }): Entry {
  const { keys = ['a'], term = 1, seq = part.offset, inOrder = true, ...rest } = part;
  return { keys, term, seq, inOrder, waits: undefined, tailCount: keys.length, ...rest } as Entry;
}

/** Entries as a log appends them: each has the rank of its own place, or of the newest place before it. */
const arbitraryEntries = fc
  .array(
    fc.record({
      skips: fc.nat(2),
      isNewTerm: fc.nat(9),
      inOrder: fc.boolean(),
      offset: fc.integer({ min: 1, max: 3 }),
    }),
    {
      maxLength: 60,
    },
  )
  .map((steps) => {
    let [offset, term, seq] = [0, 1, 0];
    return steps.map(({ skips, isNewTerm, inOrder, offset: by }) => {
      if (isNewTerm === 0) [term, seq] = [term + 1, 0];
      offset += by;
      // Other keys had the places in between.
      seq += skips;
      if (inOrder) seq++;
      return makeEntry({ offset, term, seq, inOrder });
    });
  });

/** All that a tail has. */
function all(tail: Tail): (Entry | undefined)[] {
  return Array.from({ length: tail.length }, (_, i) => tail.at(i));
}

function fill(tail: Tail, count: number): Entry[] {
  const entries = Array.from({ length: count }, (_, i) => makeEntry({ offset: i + 1 }));
  for (const entry of entries) tail.push(entry);
  return entries;
}

const offsets = (entries: Iterable<Entry | undefined>): (number | undefined)[] =>
  [...entries].map((entry) => entry?.offset);

const always = (): boolean => true;

// More than are remembered.
const MANY = 16_384;

describe('tails', () => {
  describe('a Tail', () => {
    it('has what was pushed and not taken out, oldest first, however these are mixed (fuzzed)', () => {
      const step = fc.oneof(
        fc.record({ push: fc.integer({ min: 1, max: 50 }) }),
        fc.record({ shift: fc.integer({ min: 1, max: 50 }) }),
        fc.record({ remove: fc.nat(200) }),
        fc.constant({ stray: true }),
      );
      fc.assert(
        fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
          const tail = new Tail('a', undefined);
          const model: Entry[] = [];
          const gone: Entry[] = [];
          const strays: Entry[] = [];
          let offset = 0;
          for (const each of steps) {
            if ('push' in each) {
              for (let i = 0; i < each.push; i++) {
                const entry = makeEntry({ offset: (offset += 2) });
                tail.push(entry);
                model.push(entry);
              }
            } else if ('shift' in each) {
              for (let i = 0; i < each.shift; i++) {
                const entry = model.shift();
                assert.equal(tail.shift(), entry);
                if (entry !== undefined) gone.push(entry);
              }
            } else if ('stray' in each) {
              const entry = model.shift();
              if (entry === undefined) continue;
              assert.equal(tail.stray(), entry);
              strays.push(entry);
            } else {
              const index = each.remove % (model.length + 1);
              const [entry] = model.splice(index, 1);
              if (entry !== undefined) gone.push(entry);
              // At the end there is none: one that has never been here, right after the newest.
              assert.equal(tail.remove(entry ?? makeEntry({ offset: offset + 1 })), entry !== undefined);
            }
            assert.equal(tail.length, model.length);
            assert.equal(tail.oldest, model[0]);
            assert.deepEqual(offsets(all(tail)), offsets(model));
            assert.equal(tail.at(model.length), undefined);
            assert.deepEqual([...tail.strays], strays);
            assert.equal(tail.isEmpty, model.length + strays.length === 0);
          }
          for (const entry of [...gone, ...strays]) assert.equal(tail.remove(entry), false);
          assert.equal(tail.length, model.length);
        }),
      );
    });

    it('finds what comes after an offset or a place, and what stands at one (fuzzed)', () => {
      const place = fc.record({ term: fc.nat(4), seq: fc.nat(90) });
      fc.assert(
        fc.property(arbitraryEntries, fc.nat(60), fc.nat(60), fc.array(place), (entries, shifted, removed, places) => {
          const tail = new Tail('a', undefined);
          for (const entry of entries) tail.push(entry);
          let model = [...entries];
          for (let i = 0; i < shifted; i++) tail.shift();
          model = model.slice(shifted);
          const [gone] = model.splice(removed % (model.length + 1), 1);
          if (gone !== undefined) tail.remove(gone);
          // -1 says that all come before.
          const indexOf = (isBeyond: (entry: Entry) => boolean): number => {
            const index = model.findIndex(isBeyond);
            return index === -1 ? model.length : index;
          };
          const last = entries.at(-1)?.offset ?? 0;
          for (let offset = 0; offset <= last + 1; offset++)
            assert.equal(
              tail.indexAfter(offset),
              indexOf((entry) => entry.offset > offset),
            );
          for (const { term, seq } of [...places, ...entries]) {
            assert.equal(
              tail.indexAfterPlace(term, seq),
              indexOf((entry) => isAfter(entry, { term, seq })),
            );
            const there = model.find((entry) => entry.inOrder && entry.term === term && entry.seq === seq);
            assert.equal(tail.atPlace(term, seq), there);
          }
        }),
      );
    });

    it('takes out nothing but the entry that is meant, also when another has its offset', () => {
      const tail = new Tail('a', undefined);
      const [first] = fill(tail, 3) as [Entry];
      assert.equal(tail.remove(first), true);
      assert.equal(tail.remove(first), false);
      assert.equal(tail.remove(makeEntry({ offset: 2 })), false);
      assert.deepEqual(offsets(all(tail)), [2, 3]);
    });

    it('is not empty as long as it has strays', () => {
      const tail = new Tail('a', undefined);
      const [entry] = fill(tail, 1) as [Entry];
      assert.deepEqual([tail.isEmpty, tail.isOfHistory], [false, true]);
      assert.equal(tail.stray(), entry);
      assert.deepEqual([tail.length, tail.isEmpty, tail.isOfHistory], [0, false, true]);
      tail.lose(entry, 'evicted');
      assert.deepEqual([tail.isEmpty, tail.isOfHistory, tail.strays.size], [true, false, 0]);
    });

    it('is of the history as long as something of it is not archived', () => {
      const tail = new Tail('a', undefined);
      fill(tail, 2);
      tail.archived = 1;
      assert.equal(tail.isOfHistory, true);
      tail.archived = 2;
      assert.equal(tail.isOfHistory, false);
    });

    it('remembers the newest of what is lost, and the furthest in the order, in whichever order they go (fuzzed)', () => {
      fc.assert(
        fc.property(
          arbitraryEntries.chain((entries) => fc.shuffledSubarray(entries)),
          fc.infiniteStream(fc.constantFrom<LossReason>('expired', 'evicted', 'lost')),
          (gone, reasons) => {
            const tail = new Tail('a', undefined);
            const losses: (Loss & { inOrder: boolean })[] = [];
            for (const entry of gone) {
              const reason = reasons.next().value as LossReason;
              tail.lose(entry, reason);
              const { offset, term, seq, inOrder } = entry;
              losses.push({ offset, term, seq, reason, inOrder });
            }
            const newest = losses.reduce<Loss | undefined>(
              (best, { inOrder: _, ...loss }) => (best === undefined || loss.offset > best.offset ? loss : best),
              undefined,
            );
            const furthest = losses.reduce<Loss | undefined>(
              (best, { inOrder, ...loss }) => (inOrder && (best === undefined || isAfter(loss, best)) ? loss : best),
              undefined,
            );
            assert.deepEqual(tail.lost, newest);
            assert.deepEqual(tail.lostInOrder, furthest);
          },
        ),
      );
    });

    it('keeps nothing of what has left it, and does not grow by what passes through it', () => {
      setFlagsFromString('--expose-gc');
      const collectGarbage = runInNewContext('gc') as () => void;
      const heap = (): number => {
        collectGarbage();
        return process.memoryUsage().heapUsed;
      };
      const tail = new Tail('a', undefined);
      const keys = Array.from({ length: 1_250 }, () => 'a');
      const push = (offset: number): void => tail.push(makeEntry({ offset, keys: [...keys] }));
      const before = heap();
      for (let i = 1; i <= 1_000; i++) push(i);
      const full = heap();
      assert.ok(full - before > 8_000_000, 'it has nothing: the test saw nothing');
      for (let i = 1; i <= 400; i++) tail.shift();
      assert.ok(full - heap() > 3_000_000);
      for (let i = 1; i <= 599; i++) tail.shift();
      const entry = tail.at(0)!;
      for (let i = 1; i <= 1_000_000; i++) {
        tail.push(entry);
        tail.shift();
      }
      assert.ok(heap() - before < 1_000_000);
    });

    it('finds the first that waits for someone who holds its key', () => {
      const tail = new Tail('a', undefined);
      const keys = ['a', 'b'];
      const waits = [undefined, new Set(['b']), new Set(['a', 'b']), new Set(['a'])];
      for (const [i, each] of waits.entries()) tail.push(makeEntry({ offset: i + 1, keys, waits: each }));
      assert.equal(tail.firstWaiting?.offset, 3);
      tail.at(2)!.waits = undefined;
      assert.equal(tail.firstWaiting?.offset, 4);
      tail.at(3)!.waits!.delete('a');
      assert.equal(tail.firstWaiting, undefined);
    });

    it('finds the first of what is kept of its newest run', () => {
      const tail = new Tail('run:1', undefined);
      const of = (offset: number, is: RunPart['is']): Entry => makeEntry({ offset, run: { is } });
      assert.equal(tail.firstOfRun, undefined);
      const entries = [of(1, 'start'), of(2, 'end'), of(3, 'start'), of(4, 'text'), of(5, 'text')];
      for (const entry of entries) tail.push(entry);
      tail.run = { start: entries[2]!, newest: entries[4]! };
      assert.equal(tail.firstOfRun, entries[2]);
      for (let i = 0; i < 3; i++) tail.shift();
      assert.equal(tail.firstOfRun, entries[3]);
      tail.run = { start: undefined, newest: entries[4]! };
      assert.equal(tail.firstOfRun, entries[3]);
      for (let i = 0; i < 2; i++) tail.shift();
      assert.equal(tail.firstOfRun, undefined);
    });
  });

  describe('Tails', () => {
    const none = (): undefined => undefined;

    /** Lets a key have a message, and lose it. */
    function comeAndGo(tails: Tails, key: string, offset: number, inOrder = true): void {
      const tail = tails.for(key);
      const entry = makeEntry({ offset, keys: [key], inOrder });
      tail.push(entry);
      tail.remove(entry);
      tail.lose(entry, 'evicted');
      tails.setEmpty(tail);
    }

    it('gives a key its tail, with what keeps its messages, once', () => {
      const archive = new Archive({ age: 1, count: 1, bytes: 1 }, always);
      const tails = new Tails((key) => (key === 'mail' ? archive : undefined));
      assert.equal(tails.get('a'), undefined);
      const tail = tails.for('a');
      assert.equal(tails.for('a'), tail);
      assert.equal(tails.get('a'), tail);
      assert.deepEqual([tail.key, tail.archive, tails.for('mail').archive], ['a', undefined, archive]);
      assert.equal(tails.size, 2);
    });

    it('remembers so many keys for what they lost, and forgets those that became empty first', () => {
      const tails = new Tails(none);
      for (let i = 1; i <= MANY; i++) comeAndGo(tails, `k${i}`, i);
      assert.equal(tails.size, MANY);
      comeAndGo(tails, 'one more', MANY + 1);
      assert.equal(tails.size, MANY);
      assert.equal(tails.get('k1'), undefined);
      assert.equal(tails.get('k2')?.lost?.offset, 2);
    });

    it('does not count those that have something again', () => {
      const tails = new Tails(none);
      comeAndGo(tails, 'a', 1);
      tails.for('a').push(makeEntry({ offset: 2 }));
      for (let i = 3; i <= MANY + 3; i++) comeAndGo(tails, `k${i}`, i);
      assert.equal(tails.get('k3'), undefined);
      assert.deepEqual([tails.get('a')?.length, tails.get('a')?.lost?.offset], [1, 1]);
    });

    it('holds a key that it does not remember for one that has lost as much as any that it has forgotten', () => {
      const tails = new Tails(none);
      // The second is the newest, the first goes furthest in the order.
      comeAndGo(tails, 'first', 7);
      comeAndGo(tails, 'second', 8, false);
      comeAndGo(tails, 'third', 6);
      for (let i = 1; i <= MANY; i++) comeAndGo(tails, `k${i}`, 100 + i);
      const others = { offset: 8, term: 1, seq: 8, reason: 'evicted' };
      assert.deepEqual(tails.newestLoss('never seen', ['never seen'], always), others);
      const inOrder = { offset: 7, term: 1, seq: 7, reason: 'evicted' };
      assert.deepEqual(
        tails.newestLoss('never seen', ['never seen'], (_, isInOrder) => isInOrder),
        inOrder,
      );
      // Also when it comes to have something of its own.
      assert.deepEqual([tails.for('first').lost, tails.for('first').lostInOrder], [others, inOrder]);
      assert.deepEqual(tails.lossesOf(1).others, { seq: 7, reason: 'evicted' });
    });

    it('says what of an epoch is lost, by key', () => {
      const tails = new Tails(none);
      comeAndGo(tails, 'a', 1);
      comeAndGo(tails, 'a', 4);
      comeAndGo(tails, 'b', 2);
      comeAndGo(tails, 'live', 3, false);
      tails.for('whole').push(makeEntry({ offset: 5, keys: ['whole'] }));
      const keys = [
        { key: 'a', seq: 4, reason: 'evicted' },
        { key: 'b', seq: 2, reason: 'evicted' },
      ];
      assert.deepEqual(tails.lossesOf(1), { keys, others: undefined });
      assert.deepEqual(tails.lossesOf(2), NO_LOSSES);
    });

    it('finds the newest loss that concerns someone, of any reach or in the order', () => {
      const tails = new Tails(none);
      comeAndGo(tails, 'a', 3);
      comeAndGo(tails, 'a', 5, false);
      const offsetOf = (concerns: Parameters<Tails['newestLoss']>[2]): number | undefined =>
        tails.newestLoss('a', ['a'], concerns)?.offset;
      assert.equal(offsetOf(always), 5);
      assert.equal(
        offsetOf(({ offset }) => offset > 4),
        5,
      );
      assert.equal(
        offsetOf((_, inOrder) => inOrder),
        3,
      );
      assert.equal(
        offsetOf(({ offset }, inOrder) => inOrder && offset > 3),
        undefined,
      );
      assert.equal(tails.newestLoss('b', ['b'], always), undefined);
    });

    it('takes what has left a key for lost only to those who do not hold another key that keeps it', () => {
      const tails = new Tails(none);
      const both = makeEntry({ offset: 1, keys: ['a', 'b'] });
      for (const key of both.keys) tails.for(key).push(both);
      tails.for('a').stray();
      const offsetOf = (keys: string[]): number | undefined => tails.newestLoss('a', keys, always)?.offset;
      assert.deepEqual([offsetOf(['a']), offsetOf(['a', 'b']), offsetOf(['a', 'c'])], [1, undefined, 1]);
      // Something newer is lost to all.
      comeAndGo(tails, 'a', 2);
      assert.deepEqual([offsetOf(['a']), offsetOf(['a', 'b'])], [2, 2]);
      tails.for('b').stray();
      assert.equal(tails.newestLoss('b', ['a', 'b'], always)?.offset, 1);
    });

    it('finds the newest loss of whoever holds some keys, whichever of them still keep what others let go of (fuzzed)', () => {
      const names = ['a', 'b', 'c'];
      const keys = fc.uniqueArray(fc.constantFrom(...names), { minLength: 1 });
      const step = fc.oneof(
        { weight: 3, arbitrary: fc.record({ append: keys, inOrder: fc.boolean() }) },
        { weight: 3, arbitrary: fc.record({ trim: fc.constantFrom(...names) }) },
        { weight: 1, arbitrary: fc.constant({ drop: true }) },
      );
      fc.assert(
        fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
          const tails = new Tails(none);
          /** By entry, the keys that still have it; none when it is gone for all. */
          const kept = new Map<Entry, Set<string>>();
          let seq = 0;
          const forget = (entry: Entry): void => {
            kept.get(entry)!.clear();
            for (const key of entry.keys) {
              const tail = tails.get(key)!;
              tail.remove(entry);
              tail.lose(entry, 'evicted');
              if (tail.isEmpty) tails.setEmpty(tail);
            }
          };
          for (const each of steps) {
            if ('append' in each) {
              if (each.inOrder) seq++;
              const { append, inOrder } = each;
              const entry = makeEntry({ offset: kept.size + 1, seq, keys: append, inOrder });
              for (const key of append) tails.for(key).push(entry);
              kept.set(entry, new Set(append));
            } else if ('trim' in each) {
              if (tails.get(each.trim)?.oldest === undefined) continue;
              const entry = tails.get(each.trim)!.stray();
              kept.get(entry)!.delete(each.trim);
              if (kept.get(entry)!.size === 0) forget(entry);
            } else {
              const oldest = [...kept].find(([, at]) => at.size > 0)?.[0];
              if (oldest !== undefined) forget(oldest);
            }
            for (const held of [['a'], ['a', 'b'], ['b', 'c'], names]) {
              for (const key of held) {
                const lost = [...kept].filter(
                  ([{ keys: its }, at]) => its.includes(key) && !held.some((other) => at.has(other)),
                );
                const newest = (isTheirs: (entry: Entry) => boolean): number | undefined =>
                  lost.map(([entry]) => entry).findLast(isTheirs)?.offset;
                const found = (concerns: Parameters<Tails['newestLoss']>[2]): number | undefined =>
                  tails.newestLoss(key, held, concerns)?.offset;
                assert.equal(found(always), newest(always));
                assert.equal(
                  found((_, inOrder) => inOrder),
                  newest(({ inOrder }) => inOrder),
                );
                const half = kept.size / 2;
                assert.equal(
                  found(({ offset }) => offset > half),
                  newest(({ offset }) => offset > half),
                );
              }
            }
          }
        }),
      );
    });

    it('learns what another process has lost: of keys that it has, that it has not, and at most of all others', () => {
      const tails = new Tails(none);
      comeAndGo(tails, 'a', 1);
      comeAndGo(tails, 'b', 2);
      const losses = {
        keys: [
          { key: 'a', seq: 6, reason: 'lost' as const },
          { key: 'new', seq: 5, reason: 'expired' as const },
        ],
        others: undefined,
      };
      const at = { offset: 10, term: 1, heard: 4 };
      assert.equal(tails.loseElsewhere(losses, at), true);
      const loss = (key: string): unknown => tails.newestLoss(key, [key], always);
      assert.deepEqual(loss('a'), { offset: 10, term: 1, seq: 6, reason: 'lost' });
      assert.deepEqual(loss('new'), { offset: 10, term: 1, seq: 5, reason: 'expired' });
      assert.deepEqual(loss('b'), { offset: 2, term: 1, seq: 2, reason: 'evicted' });
      assert.equal(loss('never seen'), undefined);

      assert.equal(
        tails.loseElsewhere({ keys: [], others: { seq: 8, reason: 'expired' } }, { ...at, offset: 11 }),
        true,
      );
      for (const key of ['a', 'b', 'new', 'never seen'])
        assert.deepEqual(loss(key), { offset: 11, term: 1, seq: 8, reason: 'expired' });
      assert.deepEqual(tails.for('never seen').lostInOrder?.seq, 8);
    });

    it('learns what others have lost though it has no key yet', () => {
      const tails = new Tails(none);
      const losses = { keys: [], others: { seq: 8, reason: 'expired' as const } };
      assert.equal(tails.loseElsewhere(losses, { offset: 1, term: 1, heard: 0 }), true);
      assert.deepEqual(tails.newestLoss('a', ['a'], always), { offset: 1, term: 1, seq: 8, reason: 'expired' });
    });

    it('learns of its own keys apart from all others', () => {
      const tails = new Tails(none);
      comeAndGo(tails, 'a', 1);
      const losses = {
        keys: [{ key: 'a', seq: 5, reason: 'lost' as const }],
        others: { seq: 9, reason: 'expired' as const },
      };
      tails.loseElsewhere(losses, { offset: 10, term: 1, heard: 4 });
      assert.deepEqual(tails.get('a')?.lost, { offset: 10, term: 1, seq: 5, reason: 'lost' });
      assert.deepEqual(tails.lossesOf(1), losses);
      assert.deepEqual(tails.lossesOf(2), NO_LOSSES);
    });

    it('takes for no news what was lost of an epoch up to where it has heard it', () => {
      const tails = new Tails(none);
      tails.for('a').push(makeEntry({ offset: 1 }));
      const losses = {
        keys: [{ key: 'a', seq: 4, reason: 'lost' as const }],
        others: { seq: 4, reason: 'lost' as const },
      };
      assert.equal(tails.loseElsewhere(losses, { offset: 10, term: 1, heard: 4 }), false);
      assert.equal(tails.loseElsewhere(NO_LOSSES, { offset: 10, term: 1, heard: 0 }), false);
      assert.deepEqual(tails.lossesOf(1), NO_LOSSES);
      assert.deepEqual([tails.get('a')?.lost, tails.size], [undefined, 1]);
    });

    it('forgets nothing that goes further in the order when it learns late of an epoch before', () => {
      const tails = new Tails(none);
      const tail = tails.for('a');
      tail.lose(makeEntry({ offset: 5, term: 2, seq: 3 }), 'evicted');
      tails.loseElsewhere({ keys: [], others: { seq: 4, reason: 'expired' } }, { offset: 6, term: 2, heard: 3 });
      const keys = ['a', 'new'].map((key) => ({ key, seq: 9, reason: 'lost' as const }));
      const others = { seq: 9, reason: 'lost' as const };
      tails.loseElsewhere({ keys, others }, { offset: 10, term: 1, heard: 0 });
      for (const key of ['a', 'new', 'never seen']) {
        const newest = tails.newestLoss(key, [key], always);
        const furthest = tails.newestLoss(key, [key], (_, inOrder) => inOrder);
        assert.deepEqual([newest?.offset, newest?.term, newest?.seq], [10, 1, 9]);
        assert.deepEqual([furthest?.offset, furthest?.term, furthest?.seq], [6, 2, 4]);
      }
      assert.deepEqual(tails.lossesOf(2).others, { seq: 4, reason: 'expired' });
    });

    it('remembers no more keys than that of what others have lost', () => {
      const tails = new Tails(none);
      const keys = Array.from({ length: MANY + 10 }, (_, i) => ({ key: `k${i}`, seq: i + 1, reason: 'lost' as const }));
      tails.loseElsewhere({ keys, others: undefined }, { offset: 1, term: 1, heard: 0 });
      assert.equal(tails.size, MANY);
      assert.deepEqual(tails.lossesOf(1).others, { seq: 10, reason: 'lost' });
    });
  });

  describe('a part of a run', () => {
    const epochs = new Epochs();
    epochs.arrive({ epoch: 'aaaaaaaa', seq: 9 });
    const stateOf = (start: number | undefined, newest: Partial<Part>): RunState => ({
      start: start === undefined ? undefined : makeEntry({ offset: start, run: { is: 'start' } }),
      newest: makeEntry({ offset: 5, run: { is: 'text' }, ...newest }),
    });

    it('belongs to the run that goes on, up to its end', () => {
      for (const is of ['text', 'event', 'end'] as const) {
        assert.equal(belongs({ is }, stateOf(3, {}), epochs), true);
        assert.equal(belongs({ is }, stateOf(3, { run: { is: 'end' } }), epochs), false);
        // Of one whose beginning is gone nothing is known here but that.
        assert.equal(belongs({ is }, undefined, epochs), true);
      }
    });

    it('starts one only if whoever starts it knew of the one before', () => {
      const starts = (since: string | undefined, state: RunState | undefined): boolean =>
        belongs({ is: 'start', since }, state, epochs);
      assert.equal(starts('aaaaaaaa-2', undefined), true);
      assert.equal(starts('aaaaaaaa-2', stateOf(3, {})), false);
      assert.equal(starts('aaaaaaaa-3', stateOf(3, {})), true);
      assert.equal(starts('aaaaaaaa-4', stateOf(undefined, {})), false);
      assert.equal(starts('aaaaaaaa-5', stateOf(undefined, {})), true);
      for (const unknown of [undefined, 'bbbbbbbb-9', 'nonsense']) assert.equal(starts(unknown, stateOf(3, {})), false);
    });
  });
});
