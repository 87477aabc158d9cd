import assert from 'node:assert/strict';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import fc from 'fast-check';
import { SseError } from '../../lib/base/error';
import { encodeOwn, toFrame } from '../../lib/message/frame';
import { encode, type SseMessage } from '../../lib/message/message';

/** What a spec-exact parser reads from a stream of messages, cut into chunks. */
function parse(
  text: string,
  cuts: readonly number[] = [],
): { events: EventSourceMessage[]; retries: number[]; comments: string[] } {
  const events: EventSourceMessage[] = [];
  const retries: number[] = [];
  const comments: string[] = [];
  const parser = createParser({
    onEvent: (event) => events.push(event),
    onRetry: (retry) => retries.push(retry),
    onComment: (comment) => comments.push(comment),
    onError: (error) => assert.fail(error),
  });
  let start = 0;
  for (const cut of [...cuts].map((each) => each % (text.length + 1)).sort((a, b) => a - b)) {
    parser.feed(text.slice(start, cut));
    start = cut;
  }
  parser.feed(text.slice(start));
  return { events, retries, comments };
}

function wire(message: SseMessage, id?: string): string {
  const event = encode(message);
  return toFrame(event.body, event.id ?? id).toString('utf8');
}

function refused(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof SseError);
    assert.equal(error.code, code);
    assert.match(error.message, /is /);
    return true;
  };
}

const normalized = (text: string): string => text.replace(/\r\n|\r/g, '\n');

describe('encode', () => {
  const texts: [string, string][] = [
    ['plain text', 'hello'],
    ['an empty string', ''],
    ['LF', 'a\nb'],
    ['CR', 'a\rb'],
    ['CRLF', 'a\r\nb'],
    ['LF CR', 'a\n\rb'],
    ['only line ends', '\n\r\n\r'],
    ['a line end at either end', '\na\n'],
    ['leading spaces', '  two'],
    ['leading spaces on each line', ' a\n  b'],
    ['a colon first', ': not a comment'],
    ['what looks like fields', 'id: 5\nevent: x\nretry: 1\n\ndata: y'],
    ['NUL', 'a\0b'],
    ['U+2028 and U+2029', 'a\u2028b\u2029c\u0085d'],
    ['a BOM', '\uFEFFa\n\uFEFFb'],
    ['multi-byte text', 'žluťoučký 🐎 你好'],
  ];
  for (const [name, text] of texts) {
    it(`writes ${name} so that a parser reads it back`, () => {
      const { events } = parse(wire(text));
      assert.equal(events.length, 1);
      assert.equal(events[0]!.data, normalized(text));
      assert.equal(events[0]!.event, undefined);
    });
  }

  it('writes 10 MB that a parser reads back byte for byte', () => {
    const text = 'x'.repeat(5_000_000) + '\n' + 'é'.repeat(2_500_000);
    assert.equal(parse(wire(text)).events[0]!.data, text);
  });

  it('writes what is not a string as JSON', () => {
    for (const data of [{ a: [1, null, 'x\ny'] }, [], 0, null, false, 1.5]) {
      assert.deepEqual(JSON.parse(parse(wire({ data })).events[0]!.data), data);
    }
  });

  it('sends an event without data as one with empty data, as 1.x did', () => {
    const [event] = parse(wire({ event: 'refresh' })).events;
    assert.deepEqual({ ...event }, { id: undefined, event: 'refresh', data: '' });
  });

  it('dispatches nothing for a comment or a retry alone', () => {
    const { events, retries, comments } = parse(wire({ comment: 'c' }) + wire({ retry: 5 }));
    assert.deepEqual([events, retries, comments], [[], [5], ['c']]);
  });

  it('writes id as the last field of the frame', () => {
    assert.match(
      wire({ data: 'x', id: 7, event: 'e', retry: 0, comment: 'c' }),
      /^: c\nevent: e\nretry: 0\ndata: x\nid: 7\n\n$/,
    );
  });

  it('keeps 0 as an id and as a retry', () => {
    const { events, retries } = parse(wire({ data: '', id: 0, retry: 0 }));
    assert.equal(events[0]!.id, '0');
    assert.deepEqual(retries, [0]);
  });

  it('never changes the message', () => {
    const message = Object.freeze({ data: Object.freeze({ a: 1 }), event: 'e', id: 1, retry: 2, comment: 'x\ny' });
    encode(message);
    assert.deepEqual(message, { data: { a: 1 }, event: 'e', id: 1, retry: 2, comment: 'x\ny' });
  });

  it('takes null for a field that is left out', () => {
    const message = { data: null, event: null, id: null, retry: null, comment: null } as unknown as SseMessage;
    assert.equal(wire(message), 'data: null\n\n');
  });

  it('reads back exactly what was published, whatever it is and however it is cut (fuzzed)', () => {
    // eventsource-parser drops a BOM at the start of the stream, as the standard says; a frame never begins with one.
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.string({
        unit: fc.constantFrom('\r', '\n', ':', ' ', '\0', 'a', '\uFEFF', '\u2028', 'data', 'id: ', 'é', '🐎'),
        maxLength: 30,
      }),
    );
    const field = text.map((each) => each.replace(/[\r\n\0]/g, ''));
    const message = fc.record(
      {
        data: fc.oneof(text, fc.jsonValue()),
        event: field.filter((each) => !each.startsWith('sse:')),
        id: field.filter((each) => each !== ''),
        retry: fc.nat(),
        comment: text,
      },
      { requiredKeys: ['data'] },
    );
    fc.assert(
      fc.property(
        fc.array(message, { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        (messages, cuts) => {
          const { events, retries, comments } = parse(messages.map((each) => wire(each)).join(''), cuts);
          assert.equal(events.length, messages.length);
          for (const [i, { data, event, id }] of messages.entries()) {
            const expected = typeof data === 'string' ? normalized(data) : JSON.stringify(data);
            assert.equal(events[i]!.data, expected);
            assert.equal(events[i]!.event ?? '', event ?? '');
            if (id !== undefined) assert.equal(events[i]!.id, id);
          }
          assert.deepEqual(
            retries,
            messages.flatMap(({ retry }) => retry ?? []),
          );
          const lines = messages.flatMap(({ comment }) =>
            comment === undefined ? [] : normalized(comment).split('\n'),
          );
          assert.deepEqual(comments, lines);
        },
      ),
      { numRuns: 5_000 },
    );
  });

  it('refuses CR, LF and NUL in event and id, whatever stands around them (fuzzed)', () => {
    const unsafe = fc
      .tuple(fc.string(), fc.constantFrom('\r', '\n', '\0', '\r\n'), fc.string())
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(unsafe, (text) => {
        assert.throws(() => encode({ data: '', event: text }), refused('ERR_SSE_EVENT'));
        assert.throws(() => encode({ data: '', id: text }), refused('ERR_SSE_ID'));
      }),
      { numRuns: 2_000 },
    );
  });

  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  const wrong: [string, string, unknown][] = [
    ['a name of the plugin', 'ERR_SSE_EVENT', { data: '', event: 'sse:hello' }],
    ['an event that is no string', 'ERR_SSE_EVENT', { data: '', event: 5 }],
    ['an id that is an object', 'ERR_SSE_ID', { data: '', id: {} }],
    ['an id that is NaN', 'ERR_SSE_ID', { data: '', id: Number.NaN }],
    ['an empty id', 'ERR_SSE_ID', { data: '', id: '' }],
    ['an id that would not fit in a header', 'ERR_SSE_ID', { data: '', id: 'x'.repeat(1_025) }],
    ['a negative retry', 'ERR_SSE_RETRY', { data: '', retry: -1 }],
    ['a fractional retry', 'ERR_SSE_RETRY', { data: '', retry: 1.5 }],
    ['a retry that is a string', 'ERR_SSE_RETRY', { data: '', retry: '1\nevent: x' }],
    ['an infinite retry', 'ERR_SSE_RETRY', { data: '', retry: Infinity }],
    ['a comment that is no string', 'ERR_SSE_COMMENT', { data: '', comment: 5 }],
    ['circular data', 'ERR_SSE_DATA', { data: circular }],
    ['a BigInt', 'ERR_SSE_DATA', { data: 5n }],
    ['undefined data', 'ERR_SSE_DATA', { data: undefined }],
    ['a function as data', 'ERR_SSE_DATA', { data: () => 1 }],
    ['a symbol as data', 'ERR_SSE_DATA', { data: Symbol('x') }],
    ['data whose toJSON throws', 'ERR_SSE_DATA', { data: { toJSON: () => assert.fail('no') } }],
    ['no message', 'ERR_SSE_MESSAGE', undefined],
    ['a number as message', 'ERR_SSE_MESSAGE', 5],
    ['an array as message', 'ERR_SSE_MESSAGE', ['a']],
    ['an empty object', 'ERR_SSE_MESSAGE', {}],
    ['an object that is meant as data', 'ERR_SSE_MESSAGE', { name: 'x' }],
  ];
  for (const [name, code, message] of wrong) {
    it(`refuses ${name} with ${code}`, () => {
      assert.throws(() => encode(message as SseMessage), refused(code));
    });
  }

  it('names in the text what was given, cut short', () => {
    assert.throws(
      () => encode({ data: '', event: `${'x'.repeat(10_000)}\n` }),
      (error: Error) => error.message.length < 300,
    );
  });
});

describe('encodeOwn', () => {
  it("writes the plugin's own events, which page code sees only when it asks for them", () => {
    const { events, retries } = parse(encodeOwn('hello', { keys: ['a\nb'] }, { retry: 5, id: 'x-1' }).toString());
    assert.deepEqual({ ...events[0] }, { event: 'sse:hello', data: '{"keys":["a\\nb"]}', id: 'x-1' });
    assert.deepEqual(retries, [5]);
  });
});
