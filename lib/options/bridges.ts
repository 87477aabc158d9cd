import { type SseError, show } from '../base/error';
import { encode } from '../message/message';
import {
  group,
  integer,
  isObject,
  MAX_MS,
  oneOf,
  Option,
  optional,
  record,
  when,
  type Check,
  type Checks,
} from './check';
import { saysWhere } from './redis';

/** The connections that a bridge publishes to: those that hold a key, or all. */
export interface SseTarget {
  /** With several keys, a connection that holds more than one of them gets one copy. */
  key?: string | readonly string[];
  /** Every connection. */
  all?: true;
}

/** The way that a bridge publishes what arrives. */
export interface SseRoute extends SseTarget {
  /** The event's name, unless the message that arrives has one. */
  event?: string;
  /** Left out: `host`, as for all that the agent publishes. */
  reach?: 'host' | 'everywhere';
}

/**
 * `config.sse.bridges.redis`: Redis channels whose messages are published. Its other options say where that Redis is, as
 * those of `config.sse.redis` do; without any, it is the Redis of `config.sse.redis`.
 */
export interface SseRedisBridge {
  /** Routes by channel: `true` publishes to the key of the channel's name, a string to the key that it is. */
  channels?: Readonly<Record<string, true | string | SseRoute>>;
  /** Routes by pattern of `PSUBSCRIBE`: `true` publishes to the key of the channel's name, not of the pattern. */
  patterns?: Readonly<Record<string, true | string | SseRoute>>;
  /** The name of one of the app's own clients; `true`: its only one. */
  client?: string | true;
  /** Options of ioredis. */
  readonly [option: string]: unknown;
}

/** `config.sse.bridges`: messages that reach the agent from elsewhere, and are published by themselves. */
export interface SseBridges {
  /** Routes by action of Egg's messenger; a string is the key. */
  messenger?: Readonly<Record<string, string | SseRoute>>;
  redis?: SseRedisBridge;
}

/** `config.sse.publisher`: `POST {path}`, for services that are not Egg. */
export interface SsePublisher {
  /** One or several; `null`: off. */
  secret: string | readonly string[] | null;
  /** Keys that may be published to, or beginnings of keys with a `*` behind; `null`: all keys, and every connection. */
  keys: readonly string[] | null;
  /** bytes of a request's body */
  maxBytes: number;
  /** ms that a body may take to arrive */
  timeout: number;
}

const MIN_SECRET_LENGTH = 16;
// The characters that a header can hold after "Bearer ".
const SECRET = /^[\x21-\x7e]+$/;
// Actions of the plugin and of Egg.
const RESERVED_ACTION = /^egg-(sse:|ready$|pids$|schedule$)/;

/** The checks of a target, and of the event's name. */
export const TARGET_CHECKS = {
  key: optional(when<string | readonly string[]>(isKeys, 'a non-empty string, or an array of them with at least one')),
  all: optional(oneOf<true>(true)),
  event: optional(checkEvent),
};

/** Refuses a target that is none or two; `option` is the one that it stands in. */
export function checkTarget(option: Option, { key, all }: SseTarget): void {
  if ((key === undefined) === (all === true)) return;
  throw option.error(
    `has ${key === undefined ? 'neither key nor all' : 'both key and all'}; say { key: 'a key' }, or { all: true } for everyone`,
  );
}

/** Checks `config.sse.bridges`. */
export const checkBridges: Check<SseBridges> = group('{ messenger, redis }', {
  messenger: optional(record('an object of actions and keys', checkAction)),
  redis: optional(checkRedisBridge),
});

function checkAction(option: Option, action: string): string | SseRoute {
  if (action === '' || RESERVED_ACTION.test(action)) {
    throw option.error("is not an action of the app's; choose another name");
  }
  const route = checkRoute(option, 'a key, or { key | all, event?, reach? }');
  if (typeof route !== 'string') checkTarget(option, route);
  return route;
}

function checkRedisBridge(option: Option): SseRedisBridge {
  const { value } = option;
  if (!isObject(value)) throw option.wrong('{ channels, patterns }');
  const channels = checkChannels(option.at('channels'));
  const patterns = checkChannels(option.at('patterns'));
  if (Object.keys({ ...channels, ...patterns }).length === 0) {
    throw option.error('has no channels and no patterns; say { channels: { news: true } }');
  }
  return { ...value, ...(channels !== undefined && { channels }), ...(patterns !== undefined && { patterns }) };
}

const checkChannels = optional(
  record('an object of channels and keys', (option, channel): true | string | SseRoute => {
    if (channel === '') throw option.error('has no name; name the channel');
    if (option.value === true) return true;
    const route = checkRoute(option, 'true, a key, or { key | all, event?, reach? }');
    // A route without a key has the channel's.
    if (typeof route !== 'string') checkTarget(option, { key: route.all === true ? undefined : channel, ...route });
    return route;
  }),
);

/** Refuses, with `ERR_SSE_CONFIG`, a bridge to Redis that has neither a Redis of its own nor `config.sse.redis`. */
export function checkWhere({ redis: bridge }: SseBridges, redis: object | false): void {
  if (bridge === undefined) return;
  const { channels: _, patterns: __, ...own } = bridge;
  if (saysWhere(own) || (redis !== false && Object.keys(own).length === 0)) return;
  throw new Option('config.sse.bridges.redis', bridge).error(
    `does not say where Redis is${redis === false ? ', and there is no config.sse.redis' : ', but has other options of it'}; add { client: 'name' } or { host, port }`,
  );
}

function checkRoute(option: Option, expected: string): string | SseRoute {
  if (typeof option.value === 'string' && option.value !== '') return option.value;
  return group<SseRoute>(expected, { ...TARGET_CHECKS, reach: optional(checkReach) })(option);
}

function checkReach(option: Option): 'host' | 'everywhere' {
  if (option.value === 'process') {
    throw option.wrong('"host" or "everywhere": it is published by the agent, which has no connections of its own');
  }
  return oneOf<'host' | 'everywhere'>('host', 'everywhere')(option);
}

function checkEvent(option: Option): string {
  try {
    encode({ event: option.value as string, data: '' });
  } catch (error) {
    throw option.wrong(`an event's name: ${(error as SseError).message}`);
  }
  return option.value as string;
}

/** Checks `config.sse.publisher`, unless it is off. No error shows a secret: errors go to logs. */
export const checkPublisher: Check<SsePublisher> = (option) => {
  const expected = '{ secret, … } or false';
  // The text may be the secret.
  if (typeof option.value === 'string') throw option.error(`is a text; it must be ${expected}`);
  return group(expected, PUBLISHER_CHECKS)(option);
};

const PUBLISHER_CHECKS: Checks<SsePublisher> = {
  secret: checkSecret,
  keys: when<readonly string[] | null>(
    (value) => value === null || (Array.isArray(value) && isKeys(value)),
    'an array of keys, or null',
  ),
  maxBytes: integer(1, 2 ** 31, 'bytes of a body'),
  timeout: integer(1, MAX_MS, 'ms'),
};

function checkSecret(option: Option): SsePublisher['secret'] {
  const { value } = option;
  const weakness = value === null ? undefined : weaknessOf(value);
  if (weakness === undefined) return value as SsePublisher['secret'];
  throw option.error(
    `${weakness}; it must be a string of at least ${MIN_SECRET_LENGTH} characters, or an array of such strings, or null to turn the publisher off`,
  );
}

/** Says what is wrong with a secret, without a character of it. */
function weaknessOf(secret: unknown): string | undefined {
  if (Array.isArray(secret)) {
    if (secret.length === 0) return 'is an empty array';
    return secret.map(weaknessOf).find((weakness) => weakness !== undefined);
  }
  if (typeof secret !== 'string') return `is ${show(secret)}`;
  if (secret.length < MIN_SECRET_LENGTH) return `has ${secret.length} characters`;
  return SECRET.test(secret) ? undefined : 'has spaces, or characters that are not ASCII, which a header cannot hold';
}

/** Whether requests may publish. */
export function isOn(publisher: SsePublisher | false): publisher is SsePublisher {
  return publisher !== false && publisher.secret !== null;
}

function isKeys(value: unknown): boolean {
  const keys: unknown[] = Array.isArray(value) ? value : [value];
  return keys.length > 0 && keys.every((key) => typeof key === 'string' && key !== '');
}
