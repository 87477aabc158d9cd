import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createParser } from 'eventsource-parser';
import { Delta, joinBodies } from '../../lib/message/delta';
import { toFrameText } from '../../lib/message/frame';
import { encode } from '../../lib/message/message';

const text = fc.string({
  unit: fc.constantFrom('a', ' ', ':', '\r', '\n', '\r\n', 'é', '🐎', '\ud83d', '\udc0e', 'data: ', '\nid: x'),
  maxLength: 40,
});
const pieces = fc.array(text, { maxLength: 12 });

/** What a parser of the standard reads, of messages of these bodies. */
function parse(bodies: readonly string[]): string[] {
  const data: string[] = [];
  const parser = createParser({ onEvent: (event) => data.push(event.data) });
  // As it comes over the wire: without halves of surrogate pairs.
  parser.feed(Buffer.from(bodies.map((body) => toFrameText(body)).join('')).toString());
  return data;
}

/** What is published of pieces. */
function split(given: readonly string[]): string[] {
  const delta = new Delta();
  return [...given.map((piece) => delta.next(piece)), delta.rest()].filter((piece) => piece !== '');
}

const bodyOf = (piece: string): string => encode(piece).body;

describe('a text in pieces', () => {
  it('adds up to the text, wherever it is cut, with LF for its line ends', () => {
    fc.assert(
      fc.property(pieces, (given) => {
        const whole = Buffer.from(given.join('').replaceAll(/\r\n?/g, '\n')).toString();
        assert.equal(parse(split(given).map(bodyOf)).join(''), whole);
      }),
    );
  });

  it('is the same when its pieces are joined, whichever of them', () => {
    fc.assert(
      fc.property(pieces, fc.array(fc.nat(5)), (given, cuts) => {
        const bodies = split(given).map(bodyOf);
        const joined: string[] = [];
        for (const cut of [...cuts, bodies.length]) {
          const some = bodies.splice(0, cut);
          if (some.length > 0) joined.push(joinBodies(some));
        }
        assert.equal(parse(joined).join(''), parse(split(given).map(bodyOf)).join(''));
      }),
    );
  });
});
