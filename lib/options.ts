import type { Groups } from './authorizer';
import { SseError, show } from './error';
import type { RedisConfig } from './redis';

/** `config.sse`. Defaults, units and reasons stand in `config/config.default.ts`. */
export interface SseOptions {
  path: string;
  headers: Record<string, string | null>;
  maxClients: number;
  overload: 'refuse' | 'retry';
  maxKeys: number;
  maxKeyLength: number;
  pingInterval: number;
  retry: number;
  history: SseHistory | false;
  maxUnsentBytes: number;
  stallTimeout: number;
  maxAge: number;
  authorizeTimeout: number;
  groups: Groups;
  redis: (RedisConfig & { readonly maxMessages?: number }) | false;
}

/** `config.sse` as an app writes it: `history` may name some of its bounds. */
export type SseConfig = Omit<SseOptions, 'history'> & { history: Partial<SseHistory> | false };

/** The three bounds of what is kept; whichever is reached first lets go of the oldest message. */
export interface SseHistory {
  /** ms */
  age: number;
  /** messages per key */
  count: number;
  /** bytes per worker */
  bytes: number;
}

// Timers of Node hold 31 bits of ms and fire at once beyond.
const MAX_MS = 2 ** 31 - 1;
// RFC 9110 5.6.2 (token) and 5.5 (field value).
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

type Check = (value: unknown) => string | undefined;

const CHECKS: { [name in keyof SseOptions]: Check } = {
  path: (value) =>
    typeof value === 'string' && /^\/[^\s?#]*$/.test(value)
      ? undefined
      : 'a path that begins with "/", without ? and #',
  headers: checkHeaders,
  maxClients: integer(1, 2 ** 31, 'connections per worker'),
  overload: (value) => (value === 'refuse' || value === 'retry' ? undefined : '"refuse" or "retry"'),
  maxKeys: integer(1, 10_000, 'keys per connection'),
  maxKeyLength: integer(1, 8_192, 'characters'),
  pingInterval: integer(0, MAX_MS, 'ms (0 = no pings)'),
  retry: integer(0, MAX_MS, 'ms'),
  history: (value) => (value === false || isObject(value) ? undefined : '{ age, count, bytes } or false'),
  maxUnsentBytes: integer(1, 2 ** 31, 'bytes per connection'),
  stallTimeout: integer(1, MAX_MS, 'ms'),
  maxAge: integer(1, MAX_MS, 'ms'),
  authorizeTimeout: integer(1, MAX_MS, 'ms'),
  groups: (value) => (typeof value === 'function' ? undefined : 'a function from a group to the groups around it'),
  redis: checkRedis,
};

const HISTORY_CHECKS: { [name in keyof SseHistory]: Check } = {
  age: integer(1, MAX_MS, 'ms'),
  count: integer(1, 2 ** 31, 'messages per key'),
  bytes: integer(1, Number.MAX_SAFE_INTEGER, 'bytes per worker'),
};

// Egg's own switches of a plugin and of a middleware, and an option of 1.x that has lost its meaning.
const IGNORED = new Set(['enable', 'match', 'ignore', 'cacheKey']);

/**
 * Checks `config.sse` and returns a copy of the options that is safe to keep.
 *
 * Throws `SseError` `ERR_SSE_CONFIG` that names the first wrong option, what it was and what it may be.
 */
export function checkOptions(config: unknown): SseOptions {
  if (!isObject(config)) throw wrong('config.sse', config, 'an object of options');
  const known = check('config.sse', config, CHECKS) as unknown as SseOptions;
  if (known.history !== false) {
    known.history = check('config.sse.history', known.history, HISTORY_CHECKS) as unknown as SseHistory;
  }
  known.headers = mergeHeaders(known.headers);
  return known;
}

/** One entry for each name, whatever its case: the last one, which is the app's own. */
function mergeHeaders(headers: SseOptions['headers']): SseOptions['headers'] {
  const names = new Map<string, [string, string | null]>();
  for (const entry of Object.entries(headers)) names.set(entry[0].toLowerCase(), entry);
  return Object.fromEntries(names.values());
}

function check(path: string, given: object, checks: Record<string, Check>): Record<string, unknown> {
  const values = given as Record<string, unknown>;
  const names = Object.keys(checks);
  for (const name of Object.keys(values)) {
    if (!names.includes(name) && !IGNORED.has(name)) {
      throw new SseError(
        'ERR_SSE_CONFIG',
        `${path}.${name} is not an option of egg-sse; there are ${names.join(', ')}`,
      );
    }
  }
  const known: Record<string, unknown> = {};
  for (const [name, complaint] of Object.entries(checks)) {
    const expected = complaint(values[name]);
    if (expected !== undefined) throw wrong(`${path}.${name}`, values[name], expected);
    known[name] = values[name];
  }
  return known;
}

function wrong(name: string, value: unknown, expected: string): SseError {
  return new SseError('ERR_SSE_CONFIG', `${name} is ${show(value)}; it must be ${expected}`);
}

function integer(min: number, max: number, unit: string): Check {
  return (value) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
      ? undefined
      : `an integer from ${min} to ${max}, in ${unit}`;
}

// What says where a Redis is: a client of the app's, or one of ioredis' own options.
const REDIS_PLACES = ['client', 'host', 'port', 'path', 'sentinels', 'nodes'];

function checkRedis(value: unknown): string | undefined {
  const expected = `false, { client: 'name' } or the options of a client, such as { host, port }`;
  if (value === false) return undefined;
  if (!isObject(value) || !REDIS_PLACES.some((name) => name in value)) return expected;
  const { maxMessages } = value as { maxMessages?: unknown };
  const wrongCount = maxMessages === undefined ? undefined : integer(1, 2 ** 31, 'messages')(maxMessages);
  return wrongCount === undefined ? undefined : `${expected}; maxMessages must be ${wrongCount}`;
}

function checkHeaders(value: unknown): string | undefined {
  if (!isObject(value)) return 'an object of header names and values';
  for (const [name, text] of Object.entries(value)) {
    if (!HEADER_NAME.test(name)) return `an object of header names and values; ${show(name)} is not a header's name`;
    if (text !== null && (typeof text !== 'string' || !HEADER_VALUE.test(text))) {
      return `an object of header names and values; "${name}" is ${show(text)}, and may be a string without line ends, or null to take it away`;
    }
    if (name.toLowerCase() === 'content-type' && (text === null || !/^text\/event-stream\s*(;|$)/i.test(text))) {
      return `an object of header names and values; "${name}" is ${show(text)}, but browsers read only text/event-stream: leave it out`;
    }
  }
  return undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
