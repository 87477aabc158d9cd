import { RedisBroker, type RedisTimes } from '../../lib/broker/redis/redis_broker';
import type { Gap } from '../../lib/log/gaps';
import type { SseOptions } from '../../lib/options/options';
import { readRedisConfig } from '../../lib/redis/settings';
import type { Sse } from '../../lib/sse';
import { startPlain, type PlainServer } from './plain';
import { Proxy } from './proxy';
import { Stream } from './stream';

/** What one runs with. */
export interface RedisHostOptions {
  /** Hosts of the same name are workers of one host. Left out: one of its own. */
  readonly name?: string;
  /** The most messages that Redis keeps. */
  readonly count?: number;
  readonly times?: Partial<RedisTimes>;
  readonly overrides?: Partial<Record<keyof SseOptions, unknown>>;
  /** Whether the link to Redis is cut when it starts. */
  readonly isCut?: boolean;
}

let hosts = 0;

/** A host with one worker, on plain `node:http`, with a link of its own to Redis. */
export class RedisHost {
  readonly link: Proxy;
  readonly logged: string[];
  /** What its clients were told of gaps. */
  readonly gaps: Gap[] = [];
  readonly #plain: PlainServer;
  readonly #streams: Stream[] = [];

  private constructor(plain: PlainServer, link: Proxy, logged: string[]) {
    this.#plain = plain;
    this.link = link;
    this.logged = logged;
    this.sse.on('gap', (gap) => this.gaps.push(gap));
  }

  /** Starts one that reaches Redis at a port. */
  static async start(port: number, options: RedisHostOptions = {}): Promise<RedisHost> {
    const { name = `host${++hosts}`, count = 100_000, times = {}, overrides = {}, isCut = false } = options;
    const link = await Proxy.start(port);
    if (isCut) link.cut();
    const logged: string[] = [];
    const log = (message: string | Error): void => void logged.push(String(message));
    const broker = new RedisBroker(readRedisConfig(link.options, { baseDir: __dirname }), {
      app: 'test',
      host: name,
      serves: true,
      bounds: { count, age: 300_000 },
      logger: { info: log, warn: log, error: log },
      times,
    });
    return new RedisHost(await startPlain(overrides, broker), link, logged);
  }

  get sse(): Sse {
    return this.#plain.sse;
  }

  /** Opens a stream of some keys, after a last event id. */
  async open(keys: readonly string[], lastEventId = ''): Promise<Stream> {
    const query = keys.map((key) => `connectKey=${encodeURIComponent(key)}`).join('&');
    const headers: Record<string, string> = lastEventId === '' ? {} : { 'Last-Event-ID': lastEventId };
    const stream = await Stream.open(`${this.#plain.url}?${query}`, { headers });
    this.#streams.push(stream);
    return stream.until(({ events }) => events.length > 0);
  }

  async stop(): Promise<void> {
    for (const stream of this.#streams) stream.close();
    await this.#plain.close();
    await this.link.stop();
  }
}
