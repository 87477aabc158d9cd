import { hostname } from 'node:os';
import { RedisBroker } from './redis_broker';
import type { SseLogger } from '../../base/logger';
import type { SseOptions } from '../../options/options';
import { readRedisConfig, type EggRedisConfig, type RedisConfig, type RedisSettings } from '../../redis/client';

/** What of an Egg app or agent, or of what stands for one, says which app it is, on which host. */
interface EggProcess {
  readonly name: string;
  readonly baseDir: string;
  readonly coreLogger: SseLogger;
}

const MAX_MESSAGES = 100_000;
// Without a history workers still need some time to read what they are to write.
const READING_MS = 60_000;

/** The broker of several hosts, if one is configured; `serves`: this process has connections. `host` names this host. */
export function distribute(
  egg: EggProcess,
  options: SseOptions,
  serves: boolean,
  host: string = hostOf(egg),
): RedisBroker | undefined {
  const { redis, history, mailbox, runs } = options;
  if (redis === false) return undefined;
  const { maxMessages = MAX_MESSAGES } = redis;
  return new RedisBroker(redisOf(egg, redis), {
    app: egg.name,
    host,
    serves,
    bounds: { count: maxMessages, age: history === false ? READING_MS : history.age },
    mailbox,
    runAge: runs === false ? 0 : runs.age,
    logger: egg.coreLogger,
  });
}

/** How to connect to the Redis that the option `path` says. */
export function redisOf(
  egg: Pick<EggProcess, 'baseDir'>,
  redis: RedisConfig & { readonly maxMessages?: number },
  path = 'config.sse.redis',
): RedisSettings {
  const { maxMessages: _, ...config } = redis;
  const { config: app } = egg as { config?: { redis?: EggRedisConfig } };
  return readRedisConfig(config, { baseDir: egg.baseDir, redis: app?.redis }, path);
}

/** A host, to Egg, is one master with its agent and workers: the same name in all of them, and after a restart. */
function hostOf(egg: EggProcess): string {
  const { options, config } = egg as unknown as {
    options: { port?: number };
    config: { cluster?: { listen?: { port?: number; path?: string } } };
  };
  const { port, path } = config.cluster?.listen ?? {};
  return `${hostname()}:${options.port ?? port ?? path ?? ''}`;
}
