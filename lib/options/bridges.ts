import { check, integer, isObject, MAX_MS, oneOf, optional, wrong, type Check } from './check';
import { SseError, show } from '../base/error';
import { encode } from '../message/message';
import { saysWhere } from './redis';

/** Whom a bridge publishes to: those who hold a key, or all. */
export interface SseTarget {
  /** With several keys, a connection that holds more than one of them gets one copy. */
  key?: string | readonly string[];
  /** Every connection. */
  all?: true;
}

/** Where a bridge publishes what arrives. */
export interface SseRoute extends SseTarget {
  /** The name of what is published, unless it brings one. */
  event?: string;
  /** Left out: `host`, as of whatever the agent publishes. */
  reach?: 'host' | 'everywhere';
}

/**
 * `config.sse.bridges.redis`: what others publish in Redis. Besides these two it says where that Redis is, as
 * `config.sse.redis` does, which it is if nothing says so.
 */
export interface SseRedisBridge {
  /** By the channel; `true` is the key of the channel's name, a string is another key. */
  channels?: Readonly<Record<string, true | string | SseRoute>>;
  /** By the pattern, as `PSUBSCRIBE` has it; `true` is the key of the name of the channel, not of the pattern. */
  patterns?: Readonly<Record<string, true | string | SseRoute>>;
  /** The name of a client of the app's; `true`: its only one. */
  client?: string | true;
  /** Options of ioredis. */
  readonly [option: string]: unknown;
}

/** `config.sse.bridges`: what publishes by itself what reaches the agent from elsewhere. */
export interface SseBridges {
  /** By the messenger's action; a string is the key. */
  messenger?: Readonly<Record<string, string | SseRoute>>;
  redis?: SseRedisBridge;
}

/** `config.sse.publisher`: `POST {path}`, for services that are not Egg. */
export interface SsePublisher {
  /** `null`: it is off. */
  secret: string | readonly string[] | null;
  /** What may be published to: keys, or beginnings of keys with a `*` behind; `null`: everything. */
  keys: readonly string[] | null;
  /** of a body */
  maxBytes: number;
  /** ms a body may take */
  timeout: number;
}

const MIN_SECRET_LENGTH = 16;
// What can stand in a header as it is, after "Bearer ".
const SECRET = /^[\x21-\x7e]+$/;
// The names that the plugin and Egg give to their own actions.
const RESERVED_ACTION = /^egg-(sse:|ready$|pids$|schedule$)/;

/** The options that say whom something is published to, and under what name. */
export const TARGET_CHECKS = {
  key: optional((value) => (isKeys(value) ? undefined : 'a non-empty string, or an array of them with at least one')),
  all: optional(oneOf(true)),
  event: optional(checkEvent),
};

/** Refuses, with `ERR_SSE_CONFIG`, a target that is none or two. */
export function checkTarget(path: string, { key, all }: SseTarget): void {
  if ((key === undefined) === (all === true)) return;
  throw new SseError(
    'ERR_SSE_CONFIG',
    `${path} has ${key === undefined ? 'neither key nor all' : 'both key and all'}; say { key: 'a key' }, or { all: true } for everyone`,
  );
}

/**
 * Checks `config.sse.bridges`, and returns a copy; `hasRedis` says whether there is a `config.sse.redis`.
 *
 * Throws `SseError` `ERR_SSE_CONFIG`.
 */
export function checkBridges(path: string, given: object, hasRedis: boolean): SseBridges {
  const { messenger, redis } = check(path, given, {
    messenger: optional((value) => (isObject(value) ? undefined : 'an object of actions and keys')),
    redis: optional((value) => (isObject(value) ? undefined : '{ channels, patterns }')),
  }) as SseBridges;
  return {
    ...(messenger !== undefined && { messenger: checkActions(`${path}.messenger`, messenger) }),
    ...(redis !== undefined && { redis: checkRedisBridge(`${path}.redis`, redis, hasRedis) }),
  };
}

function checkActions(path: string, routes: object): NonNullable<SseBridges['messenger']> {
  const checked = Object.entries(routes).map(([action, given]) => {
    const name = `${path}[${show(action)}]`;
    if (action === '' || RESERVED_ACTION.test(action)) {
      throw new SseError('ERR_SSE_CONFIG', `${name}: this action is not the app's; choose another name`);
    }
    const route = checkRoute(name, given, 'a key, or { key | all, event?, reach? }');
    if (typeof route !== 'string') checkTarget(name, route);
    return [action, route] as const;
  });
  return Object.fromEntries(checked);
}

function checkRedisBridge(path: string, given: SseRedisBridge, hasRedis: boolean): SseRedisBridge {
  const { channels, patterns, ...place } = given;
  if (Object.keys({ ...channels, ...patterns }).length === 0 && isObject(channels ?? {}) && isObject(patterns ?? {})) {
    throw new SseError('ERR_SSE_CONFIG', `${path} has no channels and no patterns; say { channels: { news: true } }`);
  }
  if (!saysWhere(place) && (!hasRedis || Object.keys(place).length > 0)) {
    throw new SseError(
      'ERR_SSE_CONFIG',
      `${path} does not say where Redis is${hasRedis ? ', but has other options of it' : ', and there is no config.sse.redis'}; add { client: 'name' } or { host, port }`,
    );
  }
  return {
    ...place,
    ...(channels !== undefined && { channels: checkChannels(`${path}.channels`, channels) }),
    ...(patterns !== undefined && { patterns: checkChannels(`${path}.patterns`, patterns) }),
  };
}

function checkChannels(path: string, routes: unknown): NonNullable<SseRedisBridge['channels']> {
  if (!isObject(routes)) throw wrong(path, routes, 'an object of channels and keys');
  const checked = Object.entries(routes).map(([channel, given]) => {
    const name = `${path}[${show(channel)}]`;
    if (channel === '') throw new SseError('ERR_SSE_CONFIG', `${name} has no name; name the channel`);
    if (given === true) return [channel, given] as const;
    const route = checkRoute(name, given, 'true, a key, or { key | all, event?, reach? }');
    // Without a key it is the channel's.
    if (typeof route !== 'string') checkTarget(name, { key: route.all === true ? undefined : channel, ...route });
    return [channel, route] as const;
  });
  return Object.fromEntries(checked);
}

function checkRoute(name: string, route: unknown, expected: string): string | SseRoute {
  if (typeof route === 'string' && route !== '') return route;
  if (!isObject(route)) throw wrong(name, route, expected);
  return check(name, route, {
    ...TARGET_CHECKS,
    reach: optional((value) =>
      value === 'process'
        ? '"host" or "everywhere": it is published by the agent, which has no connections of its own'
        : oneOf('host', 'everywhere')(value),
    ),
  });
}

/** Checks `config.sse.publisher`, and returns a copy. Throws `SseError` `ERR_SSE_CONFIG`, which never shows a secret. */
export function checkPublisher(path: string, given: object): SsePublisher {
  const known = check(path, given, {
    secret: () => undefined,
    keys: (value) =>
      value === null || (Array.isArray(value) && isKeys(value)) ? undefined : 'an array of keys, or null',
    maxBytes: integer(1, 2 ** 31, 'bytes of a body'),
    timeout: integer(1, MAX_MS, 'ms'),
  });
  const { secret } = known;
  const weakness = secret === null ? undefined : weaknessOf(secret);
  if (weakness !== undefined) {
    throw new SseError(
      'ERR_SSE_CONFIG',
      `${path}.secret ${weakness}; it must be a string of at least ${MIN_SECRET_LENGTH} characters, or an array of such strings, or null to turn the publisher off`,
    );
  }
  return known as unknown as SsePublisher;
}

/** Whether requests may publish at all. */
export function isOn(publisher: SsePublisher | false): publisher is SsePublisher {
  return publisher !== false && publisher.secret !== null;
}

/** What is wrong with a secret, without a character of it: it goes to logs. */
function weaknessOf(secret: unknown): string | undefined {
  if (Array.isArray(secret)) {
    if (secret.length === 0) return 'is an empty array';
    return secret.map(weaknessOf).find((weakness) => weakness !== undefined);
  }
  if (typeof secret !== 'string') return `is ${show(secret)}`;
  if (secret.length < MIN_SECRET_LENGTH) return `has ${secret.length} characters`;
  return SECRET.test(secret) ? undefined : 'has spaces, or characters that are not ASCII, which a header cannot hold';
}

function isKeys(value: unknown): boolean {
  const keys: unknown[] = Array.isArray(value) ? value : [value];
  return keys.length > 0 && keys.every((key) => typeof key === 'string' && key !== '');
}

function checkEvent(value: unknown): ReturnType<Check> {
  try {
    encode({ event: value as string, data: '' });
    return undefined;
  } catch (error) {
    return `an event's name: ${(error as SseError).message}`;
  }
}
