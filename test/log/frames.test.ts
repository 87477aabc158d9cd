import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createParser } from 'eventsource-parser';
import type { Entry } from '../../lib/log/entry';
import { textOf } from '../../lib/log/frames';
import { Log } from '../../lib/log/log';
import { encode } from '../../lib/message/message';

const RUN = 'run:7';

/** The pieces of a run's text, as they stand in a log. */
function piecesOf(given: readonly string[]): Entry[] {
  const log = new Log({ history: { age: 1e9, count: 1e9, bytes: 1e9 } });
  return given.map((piece, i) => {
    const message = { keys: [RUN], body: encode(piece).body, run: { is: 'text' as const } };
    return log.append(message, { epoch: 'aaaaaaaa', seq: i + 1 })!;
  });
}

/** What a parser of the standard reads of entries, and how long the frames are. */
function read(
  entries: readonly Entry[],
  hasIds = true,
): { data: string[]; ids: (string | undefined)[]; bytes: number[] } {
  const data: string[] = [];
  const ids: (string | undefined)[] = [];
  const parser = createParser({
    onEvent: (event) => {
      data.push(event.data);
      ids.push(event.id);
    },
  });
  const reader = { keys: [RUN], showsKeys: false, isOfRun: false };
  const text = textOf(reader, entries, ({ seq }) => (hasIds ? `aaaaaaaa-${seq}` : undefined));
  parser.feed(text);
  const frames = text.split('\n\n').slice(0, -1);
  return { data, ids, bytes: frames.map((frame) => Buffer.byteLength(frame) + 2) };
}

describe('the frames of a text in pieces', () => {
  it('add up to the text, with or without ids', () => {
    const pieces = fc.array(fc.string({ unit: fc.constantFrom('a', ' ', ':', '\n', 'é', 'data: ', '\nid: x') }));
    fc.assert(
      fc.property(pieces, fc.boolean(), (given, hasIds) => {
        assert.equal(read(piecesOf(given), hasIds).data.join(''), given.join(''));
      }),
    );
  });

  it('come with the id of the last piece of each event', () => {
    const { data, ids } = read(piecesOf(['a\n', '\nb', 'c']));
    assert.deepEqual([data, ids], [['a\n\nbc'], ['aaaaaaaa-3']]);
  });

  it('are of 64 kB at most, unless a piece is longer', () => {
    const given = Array.from({ length: 10_000 }, () => 'x'.repeat(20));
    const { data, bytes } = read(piecesOf(given));
    assert.ok(bytes.length <= 10, `${bytes.length} events`);
    for (const each of bytes) assert.ok(each <= 64 * 1024);
    assert.equal(data.join(''), given.join(''));
    const long = 'y'.repeat(100_000);
    assert.deepEqual(read(piecesOf(['a', long, 'b', 'c'])).data, ['a', long, 'bc']);
  });
});
