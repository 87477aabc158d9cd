import assert from 'node:assert/strict';
import { createParser } from 'eventsource-parser';
import fc from 'fast-check';
import { EventStreamParser, type StreamEvent } from '../../lib/client/parser.mjs';

const line = fc.oneof(
  fc.constantFrom(
    'data',
    'data:',
    'data: x',
    'data:  x',
    'data:é€😀',
    'event: created',
    'event:',
    'id: 7',
    'id:',
    'id',
  ),
  fc.constantFrom('id: a\0b', 'retry: 10', 'retry: 1x', ':', ': ping', 'unknown: x', 'data\uFEFF: y', ' data: z'),
  fc.constantFrom('', '', ''),
);
const stream = fc
  .array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n')))
  .map((lines) => lines.map(([text, end]) => text + end).join(''));

describe('the parser of the browser client', () => {
  it('reads what a spec-exact parser reads, wherever the bytes are cut', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(2_000)), (text, cuts) => {
        const expected: (readonly [type: string, data: string])[] = [];
        const parser = createParser({ onEvent: ({ event, data }) => expected.push([event ?? 'message', data]) });
        // One CR at the very end is a line that has ended to the standard; the other parser waits for an LF.
        parser.feed(text.endsWith('\r') ? `${text}\n` : text);
        assert.deepEqual(
          read(Buffer.from(text), cuts).map(({ type, data }) => [type, data]),
          expected,
        );
      }),
      { numRuns: 2_000 },
    );
  });

  it('dispatches an event as soon as the CR of its last line is there', () => {
    const found: string[] = [];
    const parser = new EventStreamParser('', ({ data }) => found.push(data));
    parser.feed(Buffer.from('data: 1\r\r'));
    assert.deepEqual(found, ['1']);
    parser.feed(Buffer.from('\ndata: 2\r'));
    parser.feed(Buffer.from('\n\r'));
    parser.feed(Buffer.from('\n'));
    assert.deepEqual(found, ['1', '2']);
  });

  it('leaves out one byte order mark, at the start', () => {
    assert.deepEqual(
      read(Buffer.from('\uFEFFdata: 1\n\n\uFEFFdata: 2\n\ndata: 3\n\n'), [1, 2]).map(({ data }) => data),
      ['1', '3'],
    );
  });

  it('keeps the id of the event before, lets an empty one reset it, and passes over one with a NUL', () => {
    const text = 'id: 1\ndata: a\n\ndata: b\n\nid: x\0\ndata: c\n\nid: 2\n\ndata: d\n\nid\ndata: e\n\n';
    assert.deepEqual(
      read(Buffer.from(text), []).map(({ lastEventId }) => lastEventId),
      ['1', '1', '1', '2', ''],
    );
  });

  it('begins with the id that it is given', () => {
    const found: string[] = [];
    new EventStreamParser('7', ({ lastEventId }) => found.push(lastEventId)).feed(Buffer.from('data: a\n\n'));
    assert.deepEqual(found, ['7']);
  });

  it('reads for which keys an event is, and when to come back', () => {
    const [one, two] = read(Buffer.from('keys: ["a","@all"]\ndata: 1\n\nretry: 50\n\nretry: x\ndata: 2\n\n'), []);
    assert.deepEqual([one?.keys, one?.retry], [['a', '@all'], undefined]);
    assert.deepEqual([two?.keys, two?.retry], [undefined, 50]);
  });
});

/** Reads a stream that comes in pieces. */
function read(bytes: Buffer, cuts: readonly number[]): StreamEvent[] {
  const events: StreamEvent[] = [];
  const parser = new EventStreamParser('', (event) => events.push(event));
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  for (const [i, place] of places.entries()) parser.feed(bytes.subarray(place, places[i + 1] ?? bytes.length));
  return events;
}
