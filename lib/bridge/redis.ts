import { setTimeout as pause } from 'node:timers/promises';
import type { SseRedisBridge, SseRoute } from '../options/bridges';
import type { SseOptions } from '../options/options';
import { saysWhere } from '../options/redis';
import type { SseLogger } from '../base/logger';
import { connectRedis, whenAborted, whenEnded, answered, type RedisClient, type RedisSettings } from '../redis/client';
import { redisOf, type EggProcess } from '../redis/settings';
import { supervise, type Supervision } from '../redis/supervise';
import { Carrier, readMessage, type Publishing } from './publishing';

/** Times of the bridge, in ms. */
export interface RedisBridgeTimes {
  /** How long after a look whether the connection works comes the next. */
  readonly beat: number;
  /** How long Redis may take to answer. */
  readonly answer: number;
}

const TIMES: RedisBridgeTimes = { beat: 2_000, answer: 5_000 };

/**
 * Publishes the messages of Redis channels, in the agent: once per host, with one connection, however many workers there
 * are. Each host subscribes for itself.
 *
 * Redis does not keep messages of channels: those of a time without connection are lost. A message that cannot be
 * published is logged, once for each channel or pattern and cause, and stops no other.
 */
export class RedisBridge {
  readonly #settings: RedisSettings;
  readonly #channels: ReadonlyMap<string, true | string | SseRoute>;
  readonly #patterns: ReadonlyMap<string, true | string | SseRoute>;
  readonly #carrier: Carrier;
  readonly #logger: SseLogger;
  readonly #times: RedisBridgeTimes;
  #supervision: Supervision | undefined;

  constructor(
    settings: RedisSettings,
    { channels = {}, patterns = {} }: Pick<SseRedisBridge, 'channels' | 'patterns'>,
    parts: { sse: Publishing; logger: SseLogger; times?: Partial<RedisBridgeTimes> },
  ) {
    this.#settings = settings;
    this.#channels = new Map(Object.entries(channels));
    this.#patterns = new Map(Object.entries(patterns));
    this.#carrier = new Carrier(parts.sse, parts.logger);
    this.#logger = parts.logger;
    this.#times = { ...TIMES, ...parts.times };
  }

  /** The bridge that `config.sse.bridges.redis` asks for, if it does, with a Redis of its own or `config.sse.redis`. */
  static of(
    egg: EggProcess,
    { bridges: { redis: bridge }, redis }: Pick<SseOptions, 'bridges' | 'redis'>,
    sse: Publishing,
  ): RedisBridge | undefined {
    if (bridge === undefined) return undefined;
    const { channels: _, patterns: __, ...own } = bridge;
    const settings = saysWhere(own)
      ? redisOf(egg, own, 'config.sse.bridges.redis')
      : redisOf(egg, redis as Exclude<typeof redis, false>);
    return new RedisBridge(settings, bridge, { sse, logger: egg.coreLogger });
  }

  /** Subscribes, and does so again whenever the connection is lost. Redis may be away. */
  start(): void {
    this.#supervision = supervise(
      'Redis of config.sse.bridges.redis',
      (up, signal) => this.#session(up, signal),
      this.#logger,
    );
  }

  /** Stops listening. Safe to call twice. */
  async stop(): Promise<void> {
    await this.#supervision?.stop();
  }

  /** Listens for as long as the connection lasts. */
  async #session(up: () => void, signal: AbortSignal): Promise<void> {
    const client = await connectRedis(this.#settings, signal);
    const { aborted, forget } = whenAborted(signal);
    try {
      client.on('message', (channel: string, text: string) => {
        this.#carry('channel', channel, this.#channels.get(channel), channel, text);
      });
      client.on('pmessage', (pattern: string, channel: string, text: string) => {
        // A channel with a route of its own has no other, so that each client gets one copy.
        if (this.#channels.has(channel)) return;
        this.#carry('pattern', pattern, this.#patterns.get(pattern), channel, text);
      });
      await Promise.race([aborted, whenEnded(client), this.#listen(client, up, signal)]);
    } finally {
      forget();
      client.disconnect();
    }
  }

  async #listen(client: RedisClient, up: () => void, signal: AbortSignal): Promise<void> {
    const subscribe = async (command: string, names: Iterable<string>): Promise<void> => {
      const all = [...names];
      if (all.length > 0) await answered(this.#times.answer, client.call(command, ...all));
    };
    for (;;) {
      // A repeated subscribe changes nothing, and tests the connection that messages come by, in a Redis Cluster too.
      await subscribe('subscribe', this.#channels.keys());
      await subscribe('psubscribe', this.#patterns.keys());
      up();
      await pause(this.#times.beat, undefined, { signal, ref: false });
    }
  }

  #carry(
    kind: 'channel' | 'pattern',
    name: string,
    route: true | string | SseRoute | undefined,
    channel: string,
    text: string,
  ): void {
    if (route === undefined) return;
    const source = `a message of the Redis ${kind} ${JSON.stringify(name)}`;
    void this.#carrier.carry(source, toRoute(route, channel), readMessage(text));
  }
}

function toRoute(route: true | string | SseRoute, channel: string): SseRoute {
  if (route === true) return { key: channel };
  if (typeof route === 'string') return { key: route };
  return route.all === true ? route : { key: channel, ...route };
}
