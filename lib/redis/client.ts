import { createRequire } from 'node:module';
import { join } from 'node:path';
import { SseError, show } from '../base/error';
import { within } from '../base/within';

/** What the plugin uses of an ioredis client; its versions 4 to 6 have it. */
export interface RedisClient {
  connect(): Promise<unknown>;
  disconnect(): void;
  call(command: string, ...args: (string | number)[]): Promise<unknown>;
  on(event: string, listener: (...args: never[]) => void): unknown;
  once(event: string, listener: (...args: never[]) => void): unknown;
}

/** ioredis' own options, as egg-redis and @eggjs/redis take them: with `cluster` and `nodes` for a Redis Cluster. */
export type RedisOptions = Readonly<Record<string, unknown>>;

/** `config.sse.redis`: the configuration of one of the app's own clients, or options for a client of the plugin's own. */
export type RedisConfig = { readonly client: string | true } | RedisOptions;

interface RedisClass {
  new (options: RedisOptions): RedisClient;
  Cluster: new (nodes: unknown, options: RedisOptions) => RedisClient;
}

/** What of Egg's configuration says how the app's own clients connect: `config.redis` of egg-redis and @eggjs/redis. */
export interface EggRedisConfig {
  readonly client?: RedisOptions;
  readonly clients?: Readonly<Record<string, RedisOptions>>;
  readonly default?: RedisOptions;
  readonly Redis?: unknown;
}

const CONNECT_MS = 5_000;

/** How to connect to a Redis: its options, and the class of clients. */
export interface RedisSettings {
  readonly options: RedisOptions;
  readonly Redis: RedisClass;
}

/**
 * Reads `config.sse.redis`, and loads ioredis.
 *
 * Throws `SseError` `ERR_SSE_CONFIG` when the app has no such client, or when ioredis is not installed.
 */
export function readRedisConfig(
  config: RedisConfig,
  app: { readonly baseDir: string; readonly redis?: EggRedisConfig | undefined },
  path = 'config.sse.redis',
): RedisSettings {
  const options = 'client' in config ? optionsOf(config.client as string | true, app.redis, path) : config;
  const Redis = options.Redis ?? app.redis?.Redis ?? loadRedis(app.baseDir, path);
  return { options, Redis: Redis as RedisClass };
}

/**
 * Connects, once: rejects when that fails, takes more than 5 s or is aborted. A connection that ends says `end`, and stays
 * so.
 */
export async function connectRedis({ options, Redis }: RedisSettings, signal: AbortSignal): Promise<RedisClient> {
  // Whoever connects tries again by itself, and knows better what to say and to send then.
  const once = {
    lazyConnect: true,
    connectTimeout: CONNECT_MS,
    retryStrategy: () => null,
    maxRetriesPerRequest: null,
    autoResendUnfulfilledCommands: false,
  };
  const client =
    options.cluster === true || options.nodes !== undefined
      ? new Redis.Cluster(options.nodes, {
          ...options,
          ...once,
          clusterRetryStrategy: () => null,
          redisOptions: { ...(options.redisOptions as object | undefined), connectTimeout: CONNECT_MS },
        })
      : new Redis({ ...options, ...once, enableOfflineQueue: false });
  const { aborted, forget } = whenAborted(signal);
  let failure: Error | undefined;
  // Without a listener an error would be printed; what it means is said by the command that fails.
  client.on('error', (error: Error) => (failure = error));
  try {
    await answered(CONNECT_MS, Promise.race([client.connect(), whenEnded(client), aborted]));
  } catch (error) {
    client.disconnect();
    throw failure ?? error;
  } finally {
    forget();
  }
  return client;
}

/** Rejects when a client's connection ends. */
export function whenEnded(client: RedisClient): Promise<never> {
  return new Promise((_, reject) => {
    client.once('end', () => reject(new Error('the connection ended')));
  });
}

/** Rejects when a signal is aborted, unless it is told to forget it. */
export function whenAborted(signal: AbortSignal): { aborted: Promise<never>; forget(): void } {
  let abort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(new Error('stopped'));
    signal.addEventListener('abort', abort, { once: true });
  });
  return { aborted, forget: () => signal.removeEventListener('abort', abort) };
}

/** What Redis answers; rejects when that takes more than so many ms. */
export function answered<T>(ms: number, answer: Promise<T>): Promise<T> {
  return within(ms, answer, () => {
    throw new Error(`Redis did not answer in ${ms} ms`);
  });
}

function optionsOf(name: string | true, app: EggRedisConfig | undefined, path: string): RedisOptions {
  const named = typeof name === 'string' ? app?.clients?.[name] : undefined;
  // An app with one client, `app.redis`, has no name for it.
  const found = named ?? (app?.clients === undefined ? app?.client : undefined);
  if (found !== undefined) return { ...app?.default, ...found };
  const names = Object.keys(app?.clients ?? {});
  const there = names.length > 0 ? `config.redis.clients has ${names.join(', ')}` : 'config.redis has no client';
  throw new SseError(
    'ERR_SSE_CONFIG',
    `${path}.client is ${show(name)}, but ${there}; name a client of egg-redis or @eggjs/redis, or give the options { host, port } themselves`,
  );
}

function loadRedis(baseDir: string, path: string): RedisClass {
  const fromApp = createRequire(join(baseDir, 'package.json'));
  const sources = [
    () => fromApp,
    () => createRequire(fromApp.resolve('@eggjs/redis/package.json')),
    () => createRequire(fromApp.resolve('egg-redis/package.json')),
    () => createRequire(__filename),
  ];
  for (const source of sources) {
    try {
      const loaded = source()('ioredis') as { default?: RedisClass };
      return loaded.default ?? (loaded as unknown as RedisClass);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'MODULE_NOT_FOUND' && code !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') throw error;
    }
  }
  throw new SseError('ERR_SSE_CONFIG', `${path} is set, but ioredis is not installed; run npm install ioredis`);
}
