import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Log } from '../../lib/log/log';
import { merge } from '../../lib/log/merge';
import { Readers } from '../../lib/log/readers';

const EPOCH = 'aaaaaaaa';
const WIDE = { age: 1e9, count: 1e9, bytes: 1e9 };

function makeLog(): Log {
  const log = new Log({ history: WIDE, mailbox: { keys: ['box:*'], ...WIDE } });
  log.arrive({ epoch: EPOCH, seq: 0 });
  return log;
}

function send(log: Log, ...keys: string[]): void {
  const seq = log.head + 1;
  log.append({ keys, body: `data: ${seq}\n` }, { epoch: EPOCH, seq });
}

const seqsOf = (entries: readonly { seq: number }[]): number[] => entries.map(({ seq }) => seq);

describe('merge', () => {
  it('passes over mail that someone else has taken, at the beginning of a mailbox and in its middle', () => {
    const log = makeLog();
    for (let i = 0; i < 6; i++) send(log, 'box:ann');
    for (const seq of [1, 3, 4]) log.mailboxes.onTaken('box:ann', `${EPOCH}-${seq}`);
    const { reader } = new Readers(log).begin(['box:ann']);
    assert.deepEqual(seqsOf(merge(log, reader, 1e9).entries), [2, 5, 6]);
    assert.deepEqual(log.mailboxes.mail.waiting, []);
  });

  it('passes over what someone else takes before it is read', () => {
    const log = makeLog();
    for (let i = 0; i < 3; i++) send(log, 'box:ann');
    const { reader } = new Readers(log).begin(['box:ann']);
    log.mailboxes.onTaken('box:ann', `${EPOCH}-1`);
    assert.deepEqual(seqsOf(merge(log, reader, 1e9).entries), [2, 3]);
  });

  it('gives what stands in several mailboxes once, also when someone took it from one of them', () => {
    const log = makeLog();
    for (let i = 0; i < 3; i++) send(log, 'box:ann', 'box:bob');
    log.mailboxes.onTaken('box:ann', `${EPOCH}-2`);
    const readers = new Readers(log);
    const [both, ann] = [['box:ann', 'box:bob'], ['box:ann']].map((keys) => readers.begin(keys).reader);
    // They fit exactly.
    const { length } = `data: 1\nid: ${EPOCH}-1\n\n`;
    assert.deepEqual(seqsOf(merge(log, both!, 3 * length).entries), [1, 2, 3]);
    assert.deepEqual(log.mailboxes.mail.waiting, []);
    assert.deepEqual(seqsOf(merge(log, ann!, 1e9).entries), []);
  });

  it('gives nothing of one mailbox to who holds another', () => {
    const log = makeLog();
    for (let i = 0; i < 3; i++) send(log, 'box:ann', 'box:bob');
    log.mailboxes.onTaken('box:ann', `${EPOCH}-2`);
    const [ann, bob] = ['box:ann', 'box:bob'].map((key) => new Readers(log).begin([key]).reader);
    assert.deepEqual(seqsOf(merge(log, ann!, 1e9).entries), [1, 3]);
    assert.deepEqual(seqsOf(merge(log, bob!, 1e9).entries), [1, 2, 3]);
  });

  it('gives each that is of any key, in order and once, in parts of at most so many bytes (fuzzed)', () => {
    const keys = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 });
    fc.assert(
      fc.property(fc.array(keys, { maxLength: 40 }), keys, fc.nat(40), fc.nat(200), (sent, held, from, maxBytes) => {
        const log = makeLog();
        for (const each of sent) send(log, ...each);
        const reader = new Readers(log).fromHead(held);
        reader.offset = Math.min(from, log.head);
        const due = sent.flatMap((each, i) =>
          i >= reader.offset && each.some((key) => held.includes(key)) ? [i + 1] : [],
        );
        const got: number[] = [];
        for (;;) {
          const { entries, more, isForAll } = merge(log, reader, maxBytes);
          assert.ok(isForAll);
          assert.ok(entries.length <= 1 || entries.reduce((sum, { bytes }) => sum + bytes, 0) <= maxBytes);
          got.push(...seqsOf(entries));
          if (!more) break;
          assert.ok(entries.length > 0);
          reader.offset = entries.at(-1)!.offset;
        }
        assert.deepEqual(got, due);
      }),
    );
  });
});
