import { checkBridges, checkPublisher, type SseBridges, type SsePublisher } from './bridges';
import { check, integer, isObject, MAX_MS, oneOf, wrong, type Check } from './check';
import { isCors, checkCors, type SseCors } from './cors';
import { show } from '../base/error';
import { type RedisConfig, checkRedis } from './redis';
import { isPattern, SHARED } from '../message/keys';

/** `config.sse`. Defaults, units and reasons stand in `config/config.default.ts`. */
export interface SseOptions {
  path: string;
  headers: Record<string, string | null>;
  early: boolean;
  maxClients: number;
  maxClientsPerUser: number;
  overload: 'refuse' | 'retry';
  maxKeys: number;
  maxKeyLength: number;
  pingInterval: number;
  retry: number;
  history: SseHistory | false;
  throttle: SseThrottles;
  maxUnsentBytes: number;
  stallTimeout: number;
  maxAge: number;
  authorizeTimeout: number;
  groups: Groups;
  cors: SseCors | false;
  redis: (RedisConfig & { readonly maxMessages?: number }) | false;
  bridges: SseBridges;
  publisher: SsePublisher | false;
  mailbox: SseMailbox | false;
  compression: SseCompression | false;
  runs: SseRuns | false;
}

/** `config.sse` as an app writes it: options that are objects may name some of what they hold. */
export type SseConfig = Omit<SseOptions, 'history' | 'publisher' | 'mailbox' | 'compression' | 'runs'> & {
  compression: Partial<SseCompression> | boolean;
  history: Partial<SseHistory> | false;
  publisher: Partial<SsePublisher> | false;
  mailbox: Partial<SseMailbox> | false;
  runs: Partial<SseRuns> | false;
};

/** The three bounds of what is kept; whichever is reached first lets go of the oldest message. */
export interface SseHistory {
  /** ms */
  age: number;
  /** messages per key */
  count: number;
  /** bytes per worker */
  bytes: number;
}

/** How long and how much is kept: ms, messages per key, bytes in all. */
export interface Bounds {
  readonly age: number;
  readonly count: number;
  readonly bytes: number;
}

/** The bounds of what is kept of runs. */
export interface SseRuns {
  /** ms */
  age: number;
  /** messages per run */
  count: number;
  /** bytes per worker */
  bytes: number;
}

// RFC 9110 5.6.2 (token) and 5.5 (field value).
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

const CHECKS: { [name in keyof SseOptions]: Check } = {
  path: (value) =>
    typeof value === 'string' && /^\/[^\s?#]*$/.test(value)
      ? undefined
      : 'a path that begins with "/", without ? and #',
  headers: checkHeaders,
  early: oneOf(true, false),
  maxClients: integer(1, 2 ** 31, 'connections per worker'),
  maxClientsPerUser: integer(0, 2 ** 31, 'connections per host (0 = no limit)'),
  overload: (value) => (value === 'refuse' || value === 'retry' ? undefined : '"refuse" or "retry"'),
  maxKeys: integer(1, 10_000, 'keys per connection'),
  maxKeyLength: integer(1, 8_192, 'characters'),
  pingInterval: integer(0, MAX_MS, 'ms (0 = no pings)'),
  retry: integer(0, MAX_MS, 'ms'),
  history: (value) => (value === false || isObject(value) ? undefined : '{ age, count, bytes } or false'),
  throttle: (value) => (isObject(value) ? undefined : `{ key: { interval, keep: 'latest' } }`),
  maxUnsentBytes: integer(1, 2 ** 31, 'bytes per connection'),
  stallTimeout: integer(1, MAX_MS, 'ms'),
  maxAge: integer(1, MAX_MS, 'ms'),
  authorizeTimeout: integer(1, MAX_MS, 'ms'),
  groups: (value) => (typeof value === 'function' ? undefined : 'a function from a group to the groups around it'),
  cors: isCors,
  redis: checkRedis,
  bridges: (value) => (isObject(value) ? undefined : '{ messenger, redis }'),
  publisher: (value) => (value === false || isObject(value) ? undefined : '{ secret, … } or false'),
  mailbox: (value) => (value === false || isObject(value) ? undefined : '{ keys, age, count, bytes } or false'),
  compression: isCompression,
  runs: (value) => (value === false || isObject(value) ? undefined : '{ age, count, bytes } or false'),
};

const HISTORY_CHECKS: { [name in keyof SseHistory]: Check } = {
  age: integer(1, MAX_MS, 'ms'),
  count: integer(1, 2 ** 31, 'messages per key'),
  bytes: integer(1, Number.MAX_SAFE_INTEGER, 'bytes per worker'),
};

const RUNS_CHECKS: { [name in keyof SseRuns]: Check } = {
  age: integer(1, 1e12, 'ms'),
  count: integer(1, 2 ** 31, 'messages per run'),
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
  const known = check('config.sse', config, CHECKS, IGNORED) as unknown as SseOptions;
  if (known.history !== false) {
    known.history = check('config.sse.history', known.history, HISTORY_CHECKS) as unknown as SseHistory;
  }
  known.throttle = checkThrottles('config.sse.throttle', known.throttle);
  known.bridges = checkBridges('config.sse.bridges', known.bridges, known.redis !== false);
  if (known.publisher !== false) known.publisher = checkPublisher('config.sse.publisher', known.publisher);
  if (known.mailbox !== false) {
    const mailbox = checkMailbox('config.sse.mailbox', known.mailbox);
    // Without a key nothing waits.
    known.mailbox = mailbox.keys.length > 0 && mailbox;
  }
  if (known.compression !== false) {
    known.compression = checkCompression('config.sse.compression', known.compression);
  }
  if (known.runs !== false) known.runs = check('config.sse.runs', known.runs, RUNS_CHECKS) as unknown as SseRuns;
  known.headers = mergeHeaders(known.headers);
  if (known.cors !== false) known.cors = checkCors('config.sse.cors', known.cors, known.headers);
  return known;
}

/** One entry for each name, whatever its case: the last one, which is the app's own. */
export function mergeHeaders(headers: SseOptions['headers']): SseOptions['headers'] {
  const names = new Map<string, [string, string | null]>();
  for (const entry of Object.entries(headers)) names.set(entry[0].toLowerCase(), entry);
  return Object.fromEntries(names.values());
}

/** Says what headers of a stream must be, when they are something else. */
export function checkHeaders(value: unknown): string | undefined {
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

/** `config.sse.mailbox`: whose messages wait until someone takes them, and the bounds of what waits. */
export interface SseMailbox {
  /** Keys, or beginnings of keys with a `*` behind. None: it is off. */
  keys: readonly string[];
  /** ms */
  age: number;
  /** messages per mailbox */
  count: number;
  /** bytes per worker */
  bytes: number;
}

export function isBox(value: unknown): boolean {
  return isPattern(value) && !SHARED.has(value);
}

/** Checks `config.sse.mailbox`, and returns a copy. Throws `SseError` `ERR_SSE_CONFIG`. */
export function checkMailbox(path: string, given: object): SseMailbox {
  return check(path, given, {
    keys: (value) =>
      Array.isArray(value) && value.every(isBox)
        ? undefined
        : `an array of keys, or of beginnings of keys with a "*" behind; not of ${[...SHARED].join(', ')}, which everybody holds`,
    age: integer(1, 1e12, 'ms'),
    count: integer(1, 2 ** 31, 'messages per mailbox'),
    bytes: integer(1, Number.MAX_SAFE_INTEGER, 'bytes per worker'),
  }) as unknown as SseMailbox;
}

/** `config.sse.compression`: how streams are compressed, and which are not. */
export interface SseCompression {
  /** zlib's, 1 (fast) to 9 (small). */
  level: number;
  /** Keys, or beginnings of keys with a `*` behind, that hold secrets: whoever holds one is sent nothing compressed. */
  except: readonly string[];
}

/** Whether a value can be `config.sse.compression`; its parts are checked by `checkCompression`. */
export function isCompression(value: unknown): string | undefined {
  return typeof value === 'boolean' || isObject(value) ? undefined : '{ level, except }, true or false';
}

/** Checks `config.sse.compression`, fills in what is left out, and returns a copy. Throws `ERR_SSE_CONFIG`. */
export function checkCompression(path: string, given: object | true): SseCompression {
  const whole = { level: 6, except: [], ...(given === true ? {} : given) };
  return check(path, whole, {
    level: integer(1, 9, 'of zlib: fast to small'),
    except: (value) =>
      Array.isArray(value) && value.every(isPattern)
        ? undefined
        : 'an array of keys, or of beginnings of keys with one "*" at the end',
  }) as unknown as SseCompression;
}

/** What is throttled, and how. */
export interface SseThrottle {
  /** ms between two messages of the key to one connection. */
  interval: number;
  /** What goes out when the interval is over. */
  keep: 'latest';
}

/** `config.sse.throttle`: by key, or by the beginning of keys with a `*` behind; the longest that matches counts. */
export type SseThrottles = Readonly<Record<string, SseThrottle>>;

/** Checks `config.sse.throttle` and returns a copy. Throws `SseError` `ERR_SSE_CONFIG`. */
export function checkThrottles(path: string, given: object): SseThrottles {
  return Object.fromEntries(
    Object.entries(given).map(([pattern, rule]) => {
      const name = `${path}[${show(pattern)}]`;
      if (!isPattern(pattern)) {
        throw wrong(name, rule, 'left out: a pattern is a key, or the beginning of keys with one "*" at its end');
      }
      if (typeof rule !== 'object' || rule === null) throw wrong(name, rule, `{ interval, keep: 'latest' }`);
      const checks = { interval: integer(1, MAX_MS, 'ms'), keep: oneOf('latest') };
      return [pattern, check(name, rule as object, checks) as unknown as SseThrottle];
    }),
  );
}

/** The groups directly around a group. */
export type Groups = (name: string) => readonly string[] | Promise<readonly string[]>;
