import { show } from '../base/error';
import { isPattern, SHARED } from '../message/keys';
import { checkBridges, checkPublisher, checkWhere, type SseBridges, type SsePublisher } from './bridges';
import { group, integer, isObject, MAX_MS, oneOf, Option, orFalse, record, when, type Checks } from './check';
import { checkCors, checkCorsHeaders, type SseCors } from './cors';
import { checkRedis, type RedisConfig } from './redis';

/** `config.sse`. Defaults, units and reasons stand in `config/config.default.ts`. */
export interface SseOptions {
  path: string;
  headers: Record<string, string | null>;
  cors: SseCors | false;
  early: boolean;
  maxClients: number;
  maxClientsPerUser: number;
  overload: 'refuse' | 'retry';
  maxKeys: number;
  maxKeyLength: number;
  pingInterval: number;
  retry: number;
  stallTimeout: number;
  maxAge: number;
  maxUnsentBytes: number;
  compression: SseCompression | false;
  history: Bounds | false;
  mailbox: SseMailbox | false;
  runs: Bounds | false;
  throttle: SseThrottles;
  authorizeTimeout: number;
  groups: Groups;
  redis: (RedisConfig & { readonly maxMessages?: number }) | false;
  bridges: SseBridges;
  publisher: SsePublisher | false;
}

/** `config.sse` as an app writes it: options that are objects may leave out some of their own options. */
export type SseConfig = Omit<SseOptions, 'history' | 'publisher' | 'mailbox' | 'compression' | 'runs'> & {
  compression: Partial<SseCompression> | boolean;
  history: Partial<Bounds> | false;
  publisher: Partial<SsePublisher> | false;
  mailbox: Partial<SseMailbox> | false;
  runs: Partial<Bounds> | false;
};

/** The three bounds of what is kept; whichever is reached first lets go of the oldest message. */
export interface Bounds {
  /** ms */
  readonly age: number;
  /** messages: of the history per key, of mailboxes per mailbox, of runs per run */
  readonly count: number;
  /** bytes per worker */
  readonly bytes: number;
}

/** `config.sse.mailbox`: the keys whose messages wait until a client takes them, and the bounds of the waiting ones. */
export interface SseMailbox extends Bounds {
  /** Keys, or beginnings of keys with a `*` behind. None: off. */
  keys: readonly string[];
}

/** `config.sse.throttle`: by key, or by the beginning of keys with a `*` behind; the longest that matches counts. */
export type SseThrottles = Readonly<Record<string, SseThrottle>>;

/** How a key is throttled. */
export interface SseThrottle {
  /** ms between two messages of the key to one connection. */
  interval: number;
  /** The message that goes out when the interval is over. */
  keep: 'latest';
}

/** `config.sse.compression`: the level of compression, and the streams without it. */
export interface SseCompression {
  /** zlib's level, 1 (fast) to 9 (small) */
  level: number;
  /** Keys, or beginnings of keys with a `*` behind: a connection that holds one is sent nothing compressed. */
  except: readonly string[];
}

/** The groups directly around a group. */
export type Groups = (name: string) => readonly string[] | Promise<readonly string[]>;

/**
 * Checks `config.sse` and returns a copy of the options that is safe to keep.
 *
 * Throws `SseError` `ERR_SSE_CONFIG` that names the first wrong option, what it was and what it may be.
 */
export function checkOptions(config: unknown): SseOptions {
  const options = checkEach(new Option('config.sse', config));
  checkWhere(options.bridges, options.redis);
  if (options.cors !== false) checkCorsHeaders(options.headers);
  return options;
}

// 30 years.
const MAX_KEPT_MS = 1e12;

const CHECKS: Checks<SseOptions> = {
  path: when(
    (value) => typeof value === 'string' && /^\/[^\s?#]*$/.test(value),
    'a path that begins with "/", without ? and #',
  ),
  headers: checkHeaders,
  cors: orFalse(checkCors),
  early: oneOf(true, false),
  maxClients: integer(1, 2 ** 31, 'connections per worker'),
  maxClientsPerUser: integer(0, 2 ** 31, 'connections per host (0 = no limit)'),
  overload: oneOf('refuse', 'retry'),
  maxKeys: integer(1, 10_000, 'keys per connection'),
  maxKeyLength: integer(1, 8_192, 'characters'),
  pingInterval: integer(0, MAX_MS, 'ms (0 = no pings)'),
  retry: integer(0, MAX_MS, 'ms'),
  stallTimeout: integer(1, MAX_MS, 'ms'),
  maxAge: integer(1, MAX_MS, 'ms'),
  maxUnsentBytes: integer(1, 2 ** 31, 'bytes per connection'),
  compression: orFalse(checkCompression),
  history: orFalse(group('{ age, count, bytes } or false', bounds('messages per key'))),
  mailbox: orFalse(checkMailbox),
  runs: orFalse(group('{ age, count, bytes } or false', bounds('messages per run'))),
  throttle: record(`{ key: { interval, keep: 'latest' } }`, checkThrottle),
  authorizeTimeout: integer(1, MAX_MS, 'ms'),
  groups: when((value) => typeof value === 'function', 'a function from a group to the groups around it'),
  redis: orFalse(checkRedis),
  bridges: checkBridges,
  publisher: orFalse(checkPublisher),
};

// Egg's own switches of a plugin and of a middleware, and an option of 1.x without a meaning in 2.0.
const IGNORED = ['enable', 'match', 'ignore', 'cacheKey'];

const checkEach = group('an object of options', CHECKS, { ignored: IGNORED });

/** The checks of three bounds; `unit` is what `count` counts. */
function bounds(unit: string): Checks<Bounds> {
  return {
    age: integer(1, MAX_KEPT_MS, 'ms'),
    count: integer(1, 2 ** 31, unit),
    bytes: integer(1, Number.MAX_SAFE_INTEGER, 'bytes per worker'),
  };
}

function checkMailbox(option: Option): SseMailbox | false {
  const mailbox = checkMailboxParts(option);
  // Without keys no message waits.
  return mailbox.keys.length > 0 && mailbox;
}

const checkMailboxParts = group<SseMailbox>('{ keys, age, count, bytes } or false', {
  keys: when(
    (value) => Array.isArray(value) && value.every((key) => isPattern(key) && !SHARED.has(key)),
    `an array of keys, or of beginnings of keys with a "*" behind; not of ${[...SHARED].join(', ')}, which everybody holds`,
  ),
  ...bounds('messages per mailbox'),
});

function checkThrottle(option: Option, pattern: string): SseThrottle {
  if (isPattern(pattern)) return checkThrottleParts(option);
  throw option.wrong('left out: a pattern is a key, or the beginning of keys with one "*" at its end');
}

const checkThrottleParts = group<SseThrottle>(`{ interval, keep: 'latest' }`, {
  interval: integer(1, MAX_MS, 'ms'),
  keep: oneOf('latest'),
});

/** Checks `config.sse.compression`, and fills in what is left out. */
function checkCompression(option: Option): SseCompression {
  const { value } = option;
  if (value !== true && !isObject(value)) throw option.wrong('{ level, except }, true or false');
  return checkCompressionParts(option.with({ level: 6, except: [], ...(value === true ? {} : value) }));
}

const checkCompressionParts = group<SseCompression>('{ level, except }, true or false', {
  level: integer(1, 9, 'of zlib: fast to small'),
  except: when(
    (value) => Array.isArray(value) && value.every(isPattern),
    'an array of keys, or of beginnings of keys with one "*" at the end',
  ),
});

// RFC 9110 5.6.2 (token) and 5.5 (field value).
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Checks the headers of a stream. */
export function checkHeaders(option: Option): SseOptions['headers'] {
  const expected = 'an object of header names and values';
  if (!isObject(option.value)) throw option.wrong(expected);
  for (const [name, text] of Object.entries(option.value)) {
    if (!HEADER_NAME.test(name)) throw option.wrong(`${expected}; ${show(name)} is not a header's name`);
    if (text !== null && (typeof text !== 'string' || !HEADER_VALUE.test(text))) {
      throw option.wrong(
        `${expected}; "${name}" is ${show(text)}, and may be a string without line ends, or null to take it away`,
      );
    }
    if (name.toLowerCase() === 'content-type' && (text === null || !/^text\/event-stream\s*(;|$)/i.test(text))) {
      throw option.wrong(
        `${expected}; "${name}" is ${show(text)}, but browsers read only text/event-stream: leave it out`,
      );
    }
  }
  return mergeHeaders(option.value as SseOptions['headers']);
}

/** One entry for each name, whatever its case: the last one, which is the app's own. */
export function mergeHeaders(headers: SseOptions['headers']): SseOptions['headers'] {
  const names = new Map<string, [string, string | null]>();
  for (const entry of Object.entries(headers)) names.set(entry[0].toLowerCase(), entry);
  return Object.fromEntries(names.values());
}
