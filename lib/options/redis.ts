import { integer, isObject } from './check';

// What says where a Redis is: a client of the app's, or one of ioredis' own options.
const PLACES = ['client', 'host', 'port', 'path', 'sentinels', 'nodes'];

/** Whether a configuration says where its Redis is. */
export function saysWhere(config: object): boolean {
  return PLACES.some((name) => name in config);
}

/** Says what `config.sse.redis` must be, when it is something else. */
export function checkRedis(value: unknown): string | undefined {
  const expected = `false, { client: 'name' } or the options of a client, such as { host, port }`;
  if (value === false) return undefined;
  if (!isObject(value) || !saysWhere(value)) return expected;
  const { maxMessages } = value as { maxMessages?: unknown };
  const wrongCount = maxMessages === undefined ? undefined : integer(1, 2 ** 31, 'messages')(maxMessages);
  return wrongCount === undefined ? undefined : `${expected}; maxMessages must be ${wrongCount}`;
}

/** ioredis' own options, as egg-redis and @eggjs/redis take them: with `cluster` and `nodes` for a Redis Cluster. */
export type RedisOptions = Readonly<Record<string, unknown>>;

/** `config.sse.redis`: the configuration of one of the app's own clients, or options for a client of the plugin's own. */
export type RedisConfig = { readonly client: string | true } | RedisOptions;
