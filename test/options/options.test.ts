import assert from 'node:assert/strict';
import config from '../../config/config.default';
import { SseError } from '../../lib/base/error';
import { checkOptions } from '../../lib/options/options';

describe('checkOptions', () => {
  it('takes the defaults', () => {
    // A mailbox without keys is off.
    assert.deepEqual(checkOptions(config.sse), { ...config.sse, mailbox: false });
  });

  it('takes a header away with null', () => {
    const headers = { ...config.sse.headers, 'X-Accel-Buffering': null };
    assert.deepEqual(checkOptions({ ...config.sse, headers }).headers, headers);
  });

  it('takes the last of two headers of the same name, whatever their case', () => {
    const headers = { 'Cache-Control': 'no-cache', 'X-A': '1', 'cache-control': 'no-store' };
    assert.deepEqual(checkOptions({ ...config.sse, headers }).headers, { 'cache-control': 'no-store', 'X-A': '1' });
  });

  it('takes the configuration of 1.x', () => {
    const headers = {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-cache, no-transform',
      Connection: 'keep-alive',
      'X-Accel-Buffering': 'no',
      'Transfer-Encoding': 'off',
      'Access-Control-Allow-Origin': '*',
    };
    checkOptions({
      ...config.sse,
      headers,
      maxClients: 10_000,
      pingInterval: 10_000,
      cacheKey: '@sse/count',
      enable: true,
    });
  });

  const wrong: [string, Record<string, unknown>, RegExp][] = [
    [
      'a path without a slash',
      { path: 'stream' },
      /^config\.sse\.path is "stream"; it must be a path that begins with "\/"/,
    ],
    ['a path with a query', { path: '/stream?x' }, /config\.sse\.path/],
    [
      'maxClients that is no number',
      { maxClients: 'many' },
      /^config\.sse\.maxClients is "many"; it must be an integer from 1/,
    ],
    ['maxClients of 0', { maxClients: 0 }, /maxClients is 0/],
    ['a missing option', { maxKeys: undefined }, /maxKeys is undefined/],
    ['maxKeyLength that is fractional', { maxKeyLength: 1.5 }, /maxKeyLength is 1\.5/],
    ['pingInterval below 0', { pingInterval: -1 }, /pingInterval is -1.*in ms/],
    ['pingInterval that timers cannot hold', { pingInterval: 2 ** 31 }, /pingInterval/],
    ['retry that is NaN', { retry: Number.NaN }, /retry is NaN/],
    ['an unknown overload', { overload: 'evict' }, /overload is "evict"; it must be "refuse" or "retry"/],
    [
      'a mailbox that is no object',
      { mailbox: true },
      /mailbox is true; it must be \{ keys, age, count, bytes \} or false/,
    ],
    [
      'a mailbox of everybody',
      { mailbox: { ...config.sse.mailbox, keys: ['@all'] } },
      /mailbox\.keys is .*everybody holds/,
    ],
    ['a mailbox with a * in the middle', { mailbox: { ...config.sse.mailbox, keys: ['a*b'] } }, /mailbox\.keys/],
    ['a mailbox without an age', { mailbox: { keys: ['a'], count: 1, bytes: 1 } }, /mailbox\.age is undefined.*in ms/],
    [
      'an unknown option of a mailbox',
      { mailbox: { ...config.sse.mailbox, size: 1 } },
      /mailbox\.size is not an option/,
    ],
    ['runs that are true', { runs: true }, /runs is true; it must be \{ age, count, bytes \} or false/],
    ['runs without a bound', { runs: { age: 1, count: 1 } }, /config\.sse\.runs\.bytes is undefined/],
    ['maxUnsentBytes of 0', { maxUnsentBytes: 0 }, /maxUnsentBytes is 0.*bytes/],
    ['stallTimeout as text', { stallTimeout: '30s' }, /stallTimeout is "30s"/],
    ['maxAge that is infinite', { maxAge: Infinity }, /maxAge is Infinity/],
    ['history that is true', { history: true }, /history is true; it must be \{ age, count, bytes \} or false/],
    ['history without a bound', { history: { age: 1, count: 1 } }, /config\.sse\.history\.bytes is undefined/],
    [
      'history with another bound',
      { history: { age: 1, count: 1, bytes: 1, size: 1 } },
      /history\.size is not an option/,
    ],
    ['headers that are a list', { headers: [] }, /headers is an array/],
    ['a header with a line end', { headers: { A: 'x\r\nB: y' } }, /"A" is "x\\r\\nB: y"/],
    ['a header name with a space', { headers: { 'A B': 'x' } }, /"A B" is not a header's name/],
    ['a header that is a number', { headers: { A: 1 } }, /"A" is 1/],
    ['another content type', { headers: { 'content-type': 'text/plain' } }, /only text\/event-stream/],
    ['early as text', { early: 'yes' }, /config\.sse\.early is "yes"/],
    [
      'an option that does not exist',
      { pingInterva: 5 },
      /config\.sse\.pingInterva is not an option of egg-sse; there are path, headers/,
    ],
  ];
  for (const [name, override, text] of wrong) {
    it(`refuses ${name}, naming it, what it was and what it may be`, () => {
      assert.throws(
        () => checkOptions({ ...config.sse, ...override }),
        (error) => error instanceof SseError && error.code === 'ERR_SSE_CONFIG' && text.test(error.message),
      );
    });
  }

  it('refuses a configuration that is no object', () => {
    for (const value of [undefined, null, [], 'x']) assert.throws(() => checkOptions(value), /config\.sse is/);
  });
});
