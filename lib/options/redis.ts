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
