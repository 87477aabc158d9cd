import { integer, isObject, optional, type Check } from './check';

/** ioredis' own options, as egg-redis and @eggjs/redis take them: with `cluster` and `nodes` for a Redis Cluster. */
export type RedisOptions = Readonly<Record<string, unknown>>;

/** `config.sse.redis`: the name of one of the app's own clients, whose options it takes, or such options themselves. */
export type RedisConfig = { readonly client: string | true } | RedisOptions;

// The options that say where a Redis is: a client of the app's, or one of ioredis' own options.
const PLACES = ['client', 'host', 'port', 'path', 'sentinels', 'nodes'];

/** Whether a configuration says where its Redis is. */
export function saysWhere(config: object): boolean {
  return PLACES.some((name) => name in config);
}

/** Checks `config.sse.redis`, unless it is off. The options of ioredis are left to ioredis. */
export const checkRedis: Check<RedisConfig & { readonly maxMessages?: number }> = (option) => {
  const { value } = option;
  if (!isObject(value) || !saysWhere(value)) {
    throw option.wrong(`false, { client: 'name' } or the options of a client, such as { host, port }`);
  }
  optional(integer(1, 2 ** 31, 'messages'))(option.at('maxMessages'));
  return value as RedisOptions;
};
