import { createRequire } from 'node:module';
import { join } from 'node:path';
import { SseError, show } from '../base/error';
import type { SseLogger } from '../base/logger';
import type { RedisConfig, RedisOptions } from '../options/redis';
import type { RedisClass, RedisSettings } from './client';

/** The part of `config.redis`, of egg-redis and @eggjs/redis, that says how the app's own clients connect. */
export interface EggRedisConfig {
  readonly client?: RedisOptions;
  readonly clients?: Readonly<Record<string, RedisOptions>>;
  readonly default?: RedisOptions;
  readonly Redis?: unknown;
}

/** An Egg app or agent, or its stand-in: which app it is, and where it logs. */
export interface EggProcess {
  readonly name: string;
  readonly baseDir: string;
  readonly coreLogger: SseLogger;
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

/** How to connect to a Redis that an option names; `path` is the option's name in errors. */
export function redisOf(
  egg: Pick<EggProcess, 'baseDir'>,
  redis: RedisConfig & { readonly maxMessages?: number },
  path = 'config.sse.redis',
): RedisSettings {
  const { maxMessages: _, ...config } = redis;
  const { config: app } = egg as { config?: { redis?: EggRedisConfig } };
  return readRedisConfig(config, { baseDir: egg.baseDir, redis: app?.redis }, path);
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
