import { RedisBroker } from './redis_broker';
import type { SseOptions } from '../../options/options';
import { type EggProcess, redisOf } from '../../redis/settings';
import { hostOf } from '../../egg/host';

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
