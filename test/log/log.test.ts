import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Gap } from '../../lib/log/gaps';
import type { Reader } from '../../lib/log/reader';
import { ReadLog } from '../support/read_log';

const EPOCH = 'aaaaaaaa';
const WIDE = { age: 1e9, count: 1e9, bytes: 1e9 };

/** A log with a hand-driven clock, and messages that are their own number. */
function makeLog(bounds = WIDE) {
  const clock = { now: 0 };
  const log = new ReadLog(bounds, () => clock.now);
  log.begin({ epoch: EPOCH, seq: 0 });
  let seq = 0;
  return {
    log,
    clock,
    append(keys: string[], options: { id?: string; inOrder?: boolean; text?: string } = {}): string {
      const position = options.inOrder === false ? undefined : { epoch: EPOCH, seq: ++seq };
      const text = options.text ?? `${position === undefined ? 'p' : ''}${log.head + 1} `;
      log.append({ keys, body: `data: ${text}\n`, id: options.id, position });
      return text;
    },
  };
}

/** The data of frames, one after the other. */
function textOf(frames: Buffer | undefined): string {
  return [...(frames?.toString() ?? '').matchAll(/^data: (.*)$/gm)].map((match) => match[1]).join('');
}

function readAll(log: ReadLog, reader: Reader, maxBytes = 1e9): { text: string; gaps: Gap[] } {
  let text = '';
  const gaps: Gap[] = [];
  for (;;) {
    const batch = log.read(reader, maxBytes);
    text += textOf(batch.frames);
    gaps.push(...batch.gaps);
    if (!batch.more) return { text, gaps };
  }
}

const cursor = (seq: number): string => `${EPOCH}-${seq}`;

describe('Log', () => {
  it('tells what it let go of itself, whatever it has learnt of an earlier epoch since', () => {
    const log = new ReadLog({ ...WIDE, count: 1 });
    const append = (epoch: string, seq: number): unknown =>
      log.append({ keys: ['a'], body: `data: ${seq}\n`, position: { epoch, seq } });
    append(EPOCH, 1);
    append('bbbbbbbb', 2);
    append('bbbbbbbb', 3);
    log.log.lose(EPOCH, { keys: [{ key: 'a', seq: 2, reason: 'lost' }], others: undefined });
    append('bbbbbbbb', 4);
    log.settle(log.head);
    assert.deepEqual(log.resume('bbbbbbbb-1', ['a']).gaps, [{ reason: 'evicted', keys: ['a'] }]);
    assert.deepEqual(log.resume('bbbbbbbb-3', ['a']).gaps, []);
    assert.deepEqual(log.resume(`${EPOCH}-1`, ['a']).gaps.length, 1);
  });

  it('gives a reader what came after it, of its keys, in order, each once', () => {
    const { log, append } = makeLog();
    append(['a']);
    const reader = log.fromHead(['a', 'b']);
    append(['b']);
    append(['c']);
    append(['a', 'b']);
    append(['a']);
    assert.deepEqual(readAll(log, reader), { text: '2 4 5 ', gaps: [] });
    assert.deepEqual(readAll(log, reader), { text: '', gaps: [] });
  });

  it('reads at most maxBytes at once, but always a message', () => {
    const { log, append } = makeLog();
    const reader = log.fromHead(['a']);
    for (let i = 0; i < 4; i++) append(['a'], { text: '🐎' });
    const frame = Buffer.from(`data: 🐎\nid: ${cursor(4)}\n\n`);
    const { length } = frame;
    assert.equal(log.read(reader, 2.5 * length).frames?.length, 2 * length);
    assert.equal(log.read(reader, 1).frames?.length, length);
    assert.deepEqual(log.read(reader, 2.5 * length), {
      frames: frame,
      gaps: [],
      resumeAt: undefined,
      more: false,
      isEnd: false,
    });
  });

  it('gives readers at the same place with the same keys the same buffer', () => {
    const { log, append } = makeLog();
    const keys = ['a'];
    const readers = [log.fromHead(keys), log.fromHead(keys)] as const;
    append(['a']);
    append(['a']);
    assert.equal(log.read(readers[0], 1e9).frames, log.read(readers[1], 1e9).frames);
  });

  it('gives readers of other keys the same buffer, when it is the same that they are to get', () => {
    const { log, append } = makeLog();
    const readers = [log.fromHead(['a']), log.fromHead(['a', 'b'])] as const;
    append(['a']);
    append(['a']);
    assert.equal(log.read(readers[0], 1e9).frames, log.read(readers[1], 1e9).frames);
  });

  it('gives those who come back to the same place the same buffer, also when something was lost', () => {
    const { log, append } = makeLog({ ...WIDE, count: 2 });
    const keys = ['a'];
    for (let i = 0; i < 4; i++) append(keys);
    log.settle(log.head);
    const [one, other] = [log.resume(cursor(0), keys), log.resume(cursor(0), keys)];
    assert.deepEqual(one.gaps, [{ reason: 'evicted', keys }]);
    const { frames } = log.read(one.reader, 1e9);
    assert.equal(textOf(frames), '3 4 ');
    assert.equal(log.read(other.reader, 1e9).frames, frames);
  });

  it('gives those who come back nothing that those who stayed were given live only', () => {
    for (const isFirst of [true, false]) {
      const { log, append } = makeLog();
      const keys = ['a'];
      const live = log.fromHead(keys);
      append(keys);
      append(keys, { inOrder: false });
      const { reader } = log.resume(cursor(0), keys);
      if (isFirst) assert.equal(readAll(log, live).text, '1 p2 ');
      assert.equal(readAll(log, reader).text, '1 ');
      if (!isFirst) assert.equal(readAll(log, live).text, '1 p2 ');
    }
  });

  it('resumes after a cursor, and after an id of the publisher', () => {
    const { log, append } = makeLog();
    append(['a']);
    append(['a'], { id: 'given' });
    append(['b']);
    append(['a']);
    for (const id of [cursor(2), 'given', ' given ']) {
      const { reader, gaps } = log.resume(id, ['a', 'b']);
      assert.deepEqual([readAll(log, reader).text, gaps], ['3 4 ', []]);
    }
    assert.equal(readAll(log, log.resume(cursor(0), ['a']).reader).text, '1 2 4 ');
    assert.equal(readAll(log, log.resume(cursor(4), ['a']).reader).text, '');
  });

  it('finds an id among the keys of the one who asks, and the older of two', () => {
    const { log, append } = makeLog();
    append(['a'], { id: '5' });
    append(['b'], { id: '5' });
    append(['a']);
    append(['a'], { id: '5' });
    assert.equal(readAll(log, log.resume('5', ['b']).reader).text, '');
    assert.equal(readAll(log, log.resume('5', ['a']).reader).text, '3 4 ');
    assert.deepEqual(log.resume('5', ['c']).gaps, [{ reason: 'unknown', keys: ['c'] }]);
  });

  it('tells of a gap for an id that nobody knows, and reads on from now', () => {
    const { log, append } = makeLog();
    append(['a']);
    for (const id of ['nonsense', '', cursor(2), cursor(10 ** 15), '__proto__']) {
      const { reader, gaps } = log.resume(id, ['a']);
      assert.deepEqual(gaps, [{ reason: 'unknown', keys: ['a'] }]);
      assert.equal(readAll(log, reader).text, '');
    }
  });

  it('tells of a gap for a cursor of an order that has ended, and reads all of this one', () => {
    const { log, append } = makeLog();
    append(['a']);
    const { reader, gaps } = log.resume('zzzzzzzz-7', ['a']);
    assert.deepEqual(gaps, [{ reason: 'restarted', keys: ['a'] }]);
    assert.deepEqual(readAll(log, reader), { text: '1 ', gaps: [] });
  });

  it('reads across epochs while both are kept', () => {
    const { log, append } = makeLog();
    append(['a']);
    append(['a']);
    log.append({ keys: ['a'], body: 'data: new \n', position: { epoch: 'bbbbbbbb', seq: 1 } });
    const { reader, gaps } = log.resume(cursor(1), ['a']);
    assert.deepEqual([readAll(log, reader).text, gaps], ['2 new ', []]);
    assert.equal(log.log.cursor, 'bbbbbbbb-1');
  });

  it('gives messages without a place in the order only to those who were there', () => {
    const { log, append } = makeLog();
    const live = log.fromHead(['a']);
    append(['a']);
    append(['a'], { inOrder: false });
    append(['a']);
    const { reader } = log.resume(cursor(0), ['a']);
    append(['a'], { inOrder: false });
    assert.equal(readAll(log, live).text, '1 p2 3 p4 ');
    assert.equal(readAll(log, reader).text, '1 3 p4 ');
  });

  it('lets go by count only of what is settled, so that a burst reaches everyone', () => {
    const { log, append } = makeLog({ ...WIDE, count: 2 });
    const reader = log.fromHead(['a']);
    for (let i = 0; i < 5; i++) append(['a']);
    assert.deepEqual(readAll(log, reader), { text: '1 2 3 4 5 ', gaps: [] });
    log.settle(log.head);
    assert.equal(log.log.size.messages, 2);
  });

  it('tells a reader once of what left before it was read, and goes on', () => {
    const { log, append } = makeLog({ ...WIDE, count: 2 });
    const reader = log.fromHead(['a', 'b']);
    append(['b']);
    for (let i = 0; i < 5; i++) append(['a']);
    append(['b']);
    log.settle(log.head);
    const batch = log.read(reader, 1);
    assert.deepEqual(batch.gaps, [{ reason: 'evicted', keys: ['a'] }]);
    assert.equal(textOf(batch.frames), '1 ');
    assert.equal(batch.resumeAt, cursor(0));
    assert.deepEqual(readAll(log, reader, 1), { text: '5 6 7 ', gaps: [] });
  });

  it('tells a client that resumes of what left meanwhile, and no other', () => {
    const { log, append } = makeLog({ ...WIDE, count: 1 });
    append(['a']);
    append(['a']);
    append(['b']);
    append(['a']);
    log.settle(log.head);
    assert.deepEqual(log.resume(cursor(0), ['a', 'b']).gaps, [{ reason: 'evicted', keys: ['a'] }]);
    assert.deepEqual(log.resume(cursor(0), ['b']).gaps, []);
    assert.deepEqual(log.resume(cursor(2), ['a', 'b']).gaps, []);
    const { reader } = log.resume(cursor(0), ['a', 'b']);
    assert.deepEqual(readAll(log, reader), { text: '3 4 ', gaps: [] });
  });

  it('tells of a second loss on another key though it told of a later one before', () => {
    const { log, append } = makeLog({ ...WIDE, count: 2 });
    append(['b']);
    append(['b']);
    for (let i = 0; i < 5; i++) append(['a']);
    log.settle(log.head);
    const { reader, gaps } = log.resume(cursor(0), ['a', 'b']);
    assert.deepEqual(gaps, [{ reason: 'evicted', keys: ['a'] }]);
    append(['b']);
    log.settle(log.head);
    assert.deepEqual(readAll(log, reader), { text: '2 6 7 8 ', gaps: [{ reason: 'evicted', keys: ['b'] }] });
  });

  it('keeps a message of several keys for those whose key still keeps it', () => {
    const { log, append } = makeLog({ ...WIDE, count: 1 });
    append(['a', 'b']);
    append(['a']);
    log.settle(log.head);
    assert.deepEqual(log.resume(cursor(0), ['a', 'b']).gaps, []);
    assert.equal(readAll(log, log.resume(cursor(0), ['a', 'b']).reader).text, '1 2 ');
    assert.deepEqual(log.resume(cursor(0), ['a']).gaps, [{ reason: 'evicted', keys: ['a'] }]);
    append(['b']);
    log.settle(log.head);
    assert.deepEqual(log.resume(cursor(0), ['a', 'b']).gaps, [{ reason: 'evicted', keys: ['a', 'b'] }]);
  });

  it('lets go of what is older than age, and remembers that it was there', () => {
    const { log, append, clock } = makeLog({ ...WIDE, age: 1_000 });
    append(['a']);
    log.settle(log.head);
    clock.now = 1_001;
    log.log.expire();
    assert.equal(log.log.size.messages, 0);
    assert.deepEqual(log.resume(cursor(0), ['a', 'b']).gaps, [{ reason: 'expired', keys: ['a'] }]);
    assert.deepEqual(log.resume(cursor(1), ['a']).gaps, []);
  });

  it('never holds more than bytes, settled or not, but always the newest message', () => {
    const { log, append } = makeLog({ ...WIDE, bytes: 10_000 });
    for (let i = 0; i < 1_000; i++) {
      append([`k${i % 7}`], { text: 'x'.repeat(100) });
      assert.ok(log.log.size.bytes <= 10_000);
    }
    append(['a'], { text: 'x'.repeat(50_000) });
    assert.equal(log.log.size.messages, 1);
  });

  it('holds nothing for keys whose messages are gone but a bounded memory of the loss', () => {
    const { log, append } = makeLog({ ...WIDE, count: 0 });
    for (let i = 0; i < 40_000; i++) append([`k${i}`]);
    log.settle(log.head);
    assert.equal(log.log.size.messages, 0);
    assert.equal(log.log.size.bytes, 0);
    assert.ok(log.log.size.keys <= 16_384);
    // The oldest are forgotten together: none of them is silent, and whoever was past them is not told.
    assert.deepEqual(log.resume(cursor(0), ['k5']).gaps, [{ reason: 'evicted', keys: ['k5'] }]);
    assert.deepEqual(log.resume(cursor(30_000), ['k5']).gaps, []);
    assert.deepEqual(log.resume(cursor(0), ['k39999']).gaps, [{ reason: 'evicted', keys: ['k39999'] }]);
  });

  it('names the place of a reader so that resuming from it reads on exactly there', () => {
    const { log, append } = makeLog();
    append(['a']);
    append(['b']);
    const reader = log.resume(cursor(0), ['b']).reader;
    assert.equal(log.cursorAt(reader), cursor(1));
    readAll(log, reader);
    assert.equal(log.cursorAt(reader), cursor(2));
  });

  it('loses nothing in silence, repeats nothing and invents no gap, whatever is appended, lost and read (fuzzed)', () => {
    const keys = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 3 });
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ append: keys, inOrder: fc.boolean() }) },
      { weight: 2, arbitrary: fc.record({ read: fc.nat(9), bytes: fc.constantFrom(1, 70, 5_000) }) },
      { weight: 1, arbitrary: fc.record({ join: keys }) },
      { weight: 1, arbitrary: fc.record({ resume: fc.nat(60), of: keys }) },
      { weight: 1, arbitrary: fc.record({ wait: fc.nat(50) }) },
      { weight: 2, arbitrary: fc.constant({ settle: true }) },
    );
    const bounds = fc.record({
      age: fc.constantFrom(60, 1e9),
      count: fc.constantFrom(0, 1, 3, 1e9),
      bytes: fc.constantFrom(3_000, 8_000, 1e9),
    });
    fc.assert(
      fc.property(bounds, fc.array(step, { maxLength: 80 }), (limits, steps) => {
        const { log, clock, append } = makeLog(limits);
        const all: { text: string; keys: string[]; offset: number; seq: number; inOrder: boolean }[] = [];
        const readers: { reader: Reader; got: string; told: Set<string>; due: typeof all }[] = [];
        let seq = 0;
        const open = (reader: Reader, gaps: readonly Gap[], after: (each: (typeof all)[number]) => boolean): void => {
          const due = all.filter((each) => each.keys.some((key) => reader.keys.includes(key)) && after(each));
          readers.push({ reader, got: '', told: new Set(gaps.flatMap((gap) => gap.keys)), due });
        };
        const read = (each: (typeof readers)[number], maxBytes: number): boolean => {
          const batch = log.read(each.reader, maxBytes);
          for (const gap of batch.gaps) for (const key of gap.keys) each.told.add(key);
          each.got += textOf(batch.frames);
          return batch.more;
        };
        for (const each of steps) {
          if ('append' in each) {
            const text = append(each.append, { inOrder: each.inOrder });
            if (each.inOrder) seq++;
            const message = { text, keys: each.append, offset: log.head, seq, inOrder: each.inOrder };
            all.push(message);
            for (const { reader, due } of readers)
              if (message.keys.some((key) => reader.keys.includes(key))) due.push(message);
          } else if ('read' in each) {
            const one = readers[each.read];
            if (one !== undefined) read(one, each.bytes);
          } else if ('join' in each) {
            open(log.fromHead(each.join), [], () => false);
          } else if ('resume' in each) {
            const from = Math.min(each.resume, seq);
            const { reader, gaps } = log.resume(cursor(from), each.of);
            open(reader, gaps, (message) => message.inOrder && message.seq > from);
          } else if ('wait' in each) {
            clock.now += each.wait;
            log.log.expire();
          } else {
            log.settle(log.head);
          }
        }
        for (const each of readers) while (read(each, 5_000));
        for (const { got, told, due } of readers) {
          const gotten = got.split(' ').slice(0, -1);
          const expected = due.map(({ text }) => text.trim());
          // In order, each once: what was got is a subsequence of what was due.
          let i = 0;
          for (const text of gotten) {
            i = expected.indexOf(text, i) + 1;
            assert.ok(i > 0, `${text} came twice, out of order or to the wrong reader`);
          }
          const missed = due.filter(({ text }) => !gotten.includes(text.trim()));
          for (const message of missed) {
            assert.ok(
              message.keys.some((key) => told.has(key)),
              `${message.text} was lost in silence`,
            );
          }
          for (const key of told) {
            assert.ok(
              missed.some((message) => message.keys.includes(key)),
              `a gap of ${key} was invented`,
            );
          }
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
