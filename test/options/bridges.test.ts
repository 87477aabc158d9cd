import assert from 'node:assert/strict';
import config from '../../config/config.default';
import { SseError } from '../../lib/base/error';
import { checkOptions } from '../../lib/options/options';

const PUBLISHER = config.sse.publisher as object;
const SECRET = 'a-secret-of-this-test';

describe('the options of bridges', () => {
  it('are taken as they are, when they are right', () => {
    const bridges = {
      messenger: {
        prices: 'prices',
        __proto__: 'text',
        both: { key: ['a', 'b'], event: 'changed', reach: 'everywhere' },
        news: { all: true },
      },
      redis: {
        client: 'shared',
        channels: {
          news: true,
          __proto__: 'text',
          prices: 'a',
          both: { key: ['a', 'b'], event: 'x', reach: 'everywhere' },
        },
        patterns: { 'room:*': { event: 'said' }, '*': { all: true } },
      },
    };
    assert.deepEqual(checkOptions({ ...config.sse, bridges }).bridges, bridges);
    for (const publisher of [
      false,
      { ...PUBLISHER, secret: SECRET },
      { ...PUBLISHER, secret: [SECRET, `${SECRET}2`], keys: ['a', 'b*'] },
    ]) {
      assert.deepEqual(checkOptions({ ...config.sse, publisher }).publisher, publisher);
    }
  });

  it('of Redis may leave out where it is when there is a config.sse.redis', () => {
    const bridges = { redis: { patterns: { '*': true } } };
    const redis = { host: '127.0.0.1' };
    assert.deepEqual(checkOptions({ ...config.sse, redis, bridges }).bridges, bridges);
  });

  const host = '127.0.0.1';
  const wrong: [string, Record<string, unknown>, RegExp][] = [
    ['redis that is a host', { bridges: { redis: host } }, /^config\.sse\.bridges\.redis is "127.*channels, patterns/],
    [
      'a Redis that is nowhere',
      { bridges: { redis: { channels: { a: true } } } },
      /^config\.sse\.bridges\.redis does not say where Redis is, and there is no config\.sse\.redis; add \{ client/,
    ],
    [
      'options of a Redis that is nowhere',
      { redis: { host }, bridges: { redis: { db: 1, channels: { a: true } } } },
      /redis does not say where Redis is, but has other options of it; add/,
    ],
    ['no channels', { bridges: { redis: { host } } }, /redis has no channels and no patterns; say/],
    ['empty channels', { bridges: { redis: { host, channels: {}, patterns: {} } } }, /no channels and no patterns/],
    [
      'a list of channels',
      { bridges: { redis: { host, channels: ['a'] } } },
      /redis\.channels is an array of 1; it must/,
    ],
    ['patterns that are a text', { bridges: { redis: { host, patterns: 'a*' } } }, /redis\.patterns is "a\*"; it must/],
    [
      'a channel without a name',
      { bridges: { redis: { host, channels: { '': true } } } },
      /channels\[""\] has no name/,
    ],
    [
      'a channel that is false',
      { bridges: { redis: { host, channels: { a: false } } } },
      /redis\.channels\["a"\] is false; it must be true, a key, or \{ key \| all/,
    ],
    [
      'an empty key of a pattern',
      { bridges: { redis: { host, patterns: { 'a*': '' } } } },
      /redis\.patterns\["a\*"\] is ""/,
    ],
    [
      'a channel that goes to a key and to all',
      { bridges: { redis: { host, channels: { a: { key: 'a', all: true } } } } },
      /channels\["a"\] has both key and all/,
    ],
    [
      'a channel whose reach gets nowhere',
      { bridges: { redis: { host, channels: { a: { reach: 'process' } } } } },
      /channels\["a"\]\.reach is "process"; it must be "host" or "everywhere"/,
    ],
    [
      'an option of a channel that nobody knows',
      { bridges: { redis: { host, channels: { a: { name: 'x' } } } } },
      /channels\["a"\]\.name is not an option/,
    ],
    ['bridges that are a list', { bridges: [] }, /^config\.sse\.bridges is an array of 0/],
    ['a bridge that nobody knows', { bridges: { kafka: {} } }, /^config\.sse\.bridges\.kafka is not an option/],
    ['messenger that is a key', { bridges: { messenger: 'a' } }, /^config\.sse\.bridges\.messenger is "a"; it must be/],
    [
      'an action without a name',
      { bridges: { messenger: { '': 'a' } } },
      /messenger\[""\] is not an action of the app's; choose/,
    ],
    [
      "an action of the plugin's own",
      { bridges: { messenger: { 'egg-sse:order': 'a' } } },
      /messenger\["egg-sse:order"\]/,
    ],
    ["an action of Egg's", { bridges: { messenger: { 'egg-ready': 'a' } } }, /choose another name/],
    [
      'an empty key',
      { bridges: { messenger: { x: '' } } },
      /messenger\["x"\] is ""; it must be a key, or \{ key \| all/,
    ],
    ['a route that is a number', { bridges: { messenger: { x: 7 } } }, /messenger\["x"\] is 7/],
    [
      'no key',
      { bridges: { messenger: { x: {} } } },
      /messenger\["x"\] has neither key nor all; say \{ key: 'a key' \}/,
    ],
    ['key and all', { bridges: { messenger: { x: { key: 'a', all: true } } } }, /has both key and all/],
    [
      'all that is false',
      { bridges: { messenger: { x: { all: false } } } },
      /messenger\["x"\]\.all is false; it must be true/,
    ],
    ['an empty list of keys', { bridges: { messenger: { x: { key: [] } } } }, /messenger\["x"\]\.key is an array of 0/],
    ['a key that is a number', { bridges: { messenger: { x: { key: ['a', 7] } } } }, /\.key is an array of 2/],
    [
      'a reach that gets nowhere',
      { bridges: { messenger: { x: { key: 'a', reach: 'process' } } } },
      /^config\.sse\.bridges\.messenger\["x"\]\.reach is "process"; it must be "host" or "everywhere": .* agent/,
    ],
    [
      'a reach that is none',
      { bridges: { messenger: { x: { key: 'a', reach: 'far' } } } },
      /\.reach is "far"; it must be "host" or "everywhere"$/,
    ],
    [
      'an event with a line end',
      { bridges: { messenger: { x: { key: 'a', event: 'a\nb' } } } },
      /\.event is "a\\nb".*CR, LF/,
    ],
    [
      "an event of the plugin's own",
      { bridges: { messenger: { x: { key: 'a', event: 'sse:x' } } } },
      /\.event is "sse:x"/,
    ],
    [
      'an option of a route that nobody knows',
      { bridges: { messenger: { x: { keys: 'a' } } } },
      /\.keys is not an option/,
    ],
    ['a publisher that is true', { publisher: true }, /^config\.sse\.publisher is true; it must be \{ secret/],
    [
      'a publisher that is the secret',
      { publisher: SECRET },
      /^config\.sse\.publisher is a text; it must be \{ secret/,
    ],
    ['maxBytes of 0', { publisher: { ...PUBLISHER, maxBytes: 0 } }, /publisher\.maxBytes is 0.*bytes/],
    ['no timeout', { publisher: { ...PUBLISHER, timeout: undefined } }, /publisher\.timeout is undefined/],
    [
      'keys that are no list',
      { publisher: { ...PUBLISHER, keys: 'a' } },
      /publisher\.keys is "a"; it must be an array of keys/,
    ],
    ['an empty list of the publisher', { publisher: { ...PUBLISHER, keys: [] } }, /publisher\.keys is an array of 0/],
    ['an empty secret', { publisher: { ...PUBLISHER, secret: '' } }, /secret has 0 characters.* at least 16/],
    ['a number for a secret', { publisher: { ...PUBLISHER, secret: 7 } }, /secret is 7; it must be/],
    ['an empty list of secrets', { publisher: { ...PUBLISHER, secret: [] } }, /secret is an empty array/],
    [
      'a secret in a list that is too short',
      { publisher: { ...PUBLISHER, secret: [SECRET, 'hunter2'] } },
      /has 7 characters/,
    ],
    ['a secret with a space', { publisher: { ...PUBLISHER, secret: `${SECRET} 2` } }, /has spaces/],
  ];
  for (const [name, override, text] of wrong) {
    it(`refuse ${name} at boot, naming what is wrong, and no secret`, () => {
      assert.throws(
        () => checkOptions({ ...config.sse, ...override }),
        (error) => {
          assert.ok(error instanceof SseError && error.code === 'ERR_SSE_CONFIG');
          assert.match(error.message, text);
          assert.doesNotMatch(error.message, /hunter2|a-secret/);
          return true;
        },
      );
    });
  }
});
