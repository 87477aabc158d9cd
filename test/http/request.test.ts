import assert from 'node:assert/strict';
import fc from 'fast-check';
import { SseError } from '../../lib/base/error';
import { acceptsEventStream, readRequest } from '../../lib/http/request';
import type { SseRequest } from '../../lib/connection/wire';

const LIMITS = { maxKeys: 3, maxKeyLength: 8 };

function read(url: string, headers: Record<string, string> = {}, method = 'GET') {
  return readRequest({ method, url, headers } as unknown as SseRequest, LIMITS);
}

function refused(code: string, status: number): (error: unknown) => boolean {
  return (error) => error instanceof SseError && error.code === code && error.status === status;
}

describe('readRequest', () => {
  it('reads every connectKey, each once, in the order asked', () => {
    assert.deepEqual(read('/s?connectKey=b&connectKey=a&connectKey=b').keys, ['b', 'a']);
  });

  it('takes no key, or an empty one, for the default pool', () => {
    assert.deepEqual(read('/s').keys, []);
    assert.deepEqual(read('/s?connectKey=&other=1').keys, []);
  });

  it('takes __proto__, constructor and any other text for a key like any other', () => {
    assert.deepEqual(
      readRequest(
        {
          method: 'GET',
          url: '/s?connectKey=__proto__&connectKey=constructor&connectKey=%E4%BD%A0%0A',
          headers: {},
        } as unknown as SseRequest,
        { maxKeys: 9, maxKeyLength: 99 },
      ).keys,
      ['__proto__', 'constructor', '你\n'],
    );
  });

  it('refuses a key that is too long and says which', () => {
    read('/s?connectKey=12345678');
    assert.throws(() => read('/s?connectKey=123456789'), /connectKey is "123456789", 9 characters; it may have 8/);
    assert.throws(() => read('/s?connectKey=123456789'), refused('ERR_SSE_KEY', 400));
  });

  it('refuses too many keys', () => {
    read('/s?connectKey=a&connectKey=b&connectKey=c&connectKey=c');
    assert.throws(() => read('/s?connectKey=a&connectKey=b&connectKey=c&connectKey=d'), refused('ERR_SSE_KEYS', 400));
  });

  it("refuses the plugin's own keys", () => {
    for (const key of ['@all', '%40all', '@user:b', '@']) {
      assert.throws(() => read(`/s?connectKey=${key}`), refused('ERR_SSE_KEY', 400));
    }
  });

  it('refuses what is neither GET nor HEAD', () => {
    for (const method of ['POST', 'PUT', 'OPTIONS', 'DELETE', 'get']) {
      assert.throws(() => read('/s', {}, method), refused('ERR_SSE_METHOD', 405));
    }
  });

  it('takes the last event id of the header before that of the query', () => {
    assert.equal(read('/s', { 'last-event-id': 'a' }).lastEventId?.text, 'a');
    assert.equal(read('/s?lastEventId=b').lastEventId?.text, 'b');
    assert.equal(read('/s?lastEventId=b', { 'last-event-id': 'a' }).lastEventId?.text, 'a');
    assert.equal(read('/s?lastEventId=', { 'last-event-id': '' }).lastEventId, undefined);
  });

  it("reads a last event id's UTF-8, which Node hands over as Latin-1", () => {
    assert.equal(read('/s', { 'last-event-id': Buffer.from('žluť').toString('latin1') }).lastEventId?.text, 'žluť');
    assert.equal(read('/s', { 'last-event-id': 'caf\xe9' }).lastEventId?.text, 'café');
  });

  it('reads or refuses whatever a client sends, and never breaks (fuzzed)', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), fc.string(), (query, accept, id) => {
        try {
          const { keys } = read(`/s?${query}`, { accept, 'last-event-id': id });
          assert.ok(keys.length <= 3 && keys.every((key) => key.length <= 8 && !key.startsWith('@')));
        } catch (error) {
          assert.ok(error instanceof SseError, String(error));
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('acceptsEventStream', () => {
  const cases: [string | undefined, boolean][] = [
    [undefined, true],
    ['', true],
    ['*/*', true],
    ['text/*', true],
    ['text/event-stream', true],
    ['TEXT/Event-Stream; charset=utf-8', true],
    ['application/json, text/event-stream;q=0.1', true],
    ['text/html, */*;q=0.1', true],
    ['application/json', false],
    ['text/html, application/*', false],
    ['text/event-stream;q=0', false],
    ['text/event-stream; q=0.0, */*', false],
    ['text/*;q=0, */*;q=1', false],
    ['*/*;q=0', false],
    ['text/event-stream;q=nonsense', true],
  ];
  for (const [accept, accepted] of cases) {
    it(`${accepted ? 'lets in' : 'keeps out'} Accept: ${accept ?? '(none)'}`, () => {
      assert.equal(acceptsEventStream(accept), accepted);
    });
  }
});
