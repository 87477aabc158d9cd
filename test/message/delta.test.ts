import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createParser } from 'eventsource-parser';
import { Delta, joinPieces } from '../../lib/message/delta';
import { encode, toFrameText } from '../../lib/message/message';

const text = fc.string({
  unit: fc.constantFrom('a', ' ', ':', '\r', '\n', '\r\n', 'é', '🐎', '\ud83d', '\udc0e', 'data: ', '\nid: x'),
  maxLength: 40,
});
const pieces = fc.array(text, { maxLength: 12 });

/** What a parser of the standard reads. */
function parse(frames: readonly string[]): { data: string[]; ids: (string | undefined)[] } {
  const data: string[] = [];
  const ids: (string | undefined)[] = [];
  const parser = createParser({
    onEvent: (event) => {
      data.push(event.data);
      ids.push(event.id);
    },
  });
  // As it comes over the wire: without halves of surrogate pairs.
  parser.feed(Buffer.from(frames.join('')).toString());
  return { data, ids };
}

/** What is published of pieces. */
function split(given: readonly string[]): string[] {
  const delta = new Delta();
  return [...given.map((piece) => delta.next(piece)), delta.rest()].filter((piece) => piece !== '');
}

const toFrames = (given: readonly string[], hasIds = true): string[] =>
  given.map((piece, i) => toFrameText(encode(piece).body, hasIds ? `aaaaaaaa-${i + 1}` : undefined));

describe('a text in pieces', () => {
  it('adds up to the text, wherever it is cut, with LF for its line ends', () => {
    fc.assert(
      fc.property(pieces, (given) => {
        const whole = Buffer.from(given.join('').replaceAll(/\r\n?/g, '\n')).toString();
        assert.equal(parse(toFrames(split(given))).data.join(''), whole);
      }),
    );
  });

  it('is the same when its pieces are joined, with or without ids, whichever of them', () => {
    fc.assert(
      fc.property(pieces, fc.boolean(), fc.array(fc.nat(5)), (given, hasIds, cuts) => {
        const frames = toFrames(split(given), hasIds);
        const joined: string[] = [];
        for (const cut of [...cuts, frames.length]) joined.push(...joinPieces(frames.splice(0, cut)));
        assert.equal(parse(joined).data.join(''), parse(toFrames(split(given))).data.join(''));
      }),
    );
  });

  it('comes with the id of the last piece of each event', () => {
    const { data, ids } = parse(joinPieces(toFrames(['a\n', '\nb', 'c'])));
    assert.deepEqual([data, ids], [['a\n\nbc'], ['aaaaaaaa-3']]);
  });

  it('is joined into events of 64 kB at most, unless a piece is longer', () => {
    const given = Array.from({ length: 10_000 }, () => 'x'.repeat(20));
    const joined = joinPieces(toFrames(given));
    assert.ok(joined.length <= 10, `${joined.length} events`);
    for (const frame of joined) assert.ok(frame.length <= 64 * 1024);
    assert.equal(parse(joined).data.join(''), given.join(''));
    const long = 'y'.repeat(100_000);
    assert.deepEqual(parse(joinPieces(toFrames(['a', long, 'b', 'c']))).data, ['a', long, 'bc']);
  });
});
