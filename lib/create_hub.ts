import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import config from '../config/config.default';
import type { Authorize, Grant } from './access/authorizer';
import { Publisher } from './bridge/publisher';
import type { Broker } from './order/broker';
import { MemoryBroker } from './broker/memory';
import { serveClient } from './http/client_script';
import type { SseResponse, SseRequest } from './connection/wire';
import { Cors } from './http/cors';
import { RedisBroker } from './broker/redis/redis_broker';
import { isObject } from './options/check';
import { SseError } from './base/error';
import type { SseLogger } from './base/logger';
import type { OpenOptions } from './options/open';
import { checkOptions, type SseConfig, type SseOptions } from './options/options';
import { REQUEST } from './message/reach';
import { Sse } from './sse';
import type { SseStream } from './http/stream';

/** Options of a hub: those of `config.sse`, without `bridges` and `path`, and what an app of Egg's brings along. */
export interface HubOptions extends Partial<Omit<SseConfig, 'bridges' | 'path'>> {
  /** With `redis`: hubs of the same name, and the Egg app of that name, share one order. Left out: `egg-sse`. */
  readonly name?: string | undefined;
  /** Says who may hear what, as `app.sse.authorize` does in Egg; it is given Node's request. */
  readonly authorize?:
    | ((request: SseRequest, asked: { readonly keys: readonly string[] }) => Grant | Promise<Grant>)
    | undefined;
  /** Left out: the console. */
  readonly logger?: SseLogger | undefined;
}

/** `app.sse` without Egg: on any server of `node:http`, or `node:http2` by its compatibility API. */
export class SseHub extends Sse {
  readonly #publisher: Publisher | undefined;
  readonly #cors: Cors | undefined;
  readonly #logger: SseLogger;

  /** @internal */
  constructor(parts: { options: SseOptions; broker: Broker; logger: SseLogger }) {
    const { options } = parts;
    super({ ...parts, isAlone: options.redis === false, causeOf: () => REQUEST });
    this.#publisher = Publisher.of(this, options.publisher);
    this.#cors = Cors.of(options);
    this.#logger = parts.logger;
  }

  /** Answers a request at the stream endpoint, whatever its path is. Resolves when it is answered; never rejects. */
  async serve(request: SseRequest, response: SseResponse): Promise<void> {
    try {
      if (this.#publisher !== undefined && request.method === 'POST') {
        this.#cors?.apply(request, response);
        await this.#publisher.serve(request, response);
      } else if (!this.endpoint.answerMethod(request, response)) {
        await this.endpoint.serve(request, response);
      }
    } catch (error) {
      this.#logger.error(new Error('a request for a stream could not be answered', { cause: error }));
      response.destroy();
    }
  }

  /** Answers a request with the browser client: for `{path}/client.js`, beside the stream. */
  serveClient(request: SseRequest, response: SseResponse): void {
    serveClient(request, response);
  }

  /** Makes a request, of whatever method, a stream, as `ctx.sse.open` does in Egg. */
  open(request: SseRequest, response: SseResponse, options?: OpenOptions): SseStream {
    return this.endpoint.open(request, response, options);
  }

  /** Ends all streams, each told when to come back, and accepts no more; 3 s at most. Call it before the server closes. */
  override stop(): Promise<void> {
    return super.stop();
  }
}

/**
 * Makes a hub for a server without Egg. It serves at once.
 *
 * Throws `SseError` `ERR_SSE_CONFIG` for an option that is wrong.
 */
export function createHub(options: HubOptions = {}): SseHub {
  const { name = 'egg-sse', authorize, logger = console, ...given } = options;
  if ('bridges' in given) {
    throw new SseError('ERR_SSE_CONFIG', 'bridges are an option of Egg apps; listen to the source, and publish');
  }
  const checked = checkOptions(withDefaults(given));
  // To Egg, a host is an agent with its workers. Here each process is a host of its own.
  const host = `${hostname()}:${process.pid}-${randomBytes(4).toString('hex')}`;
  const home = { name, baseDir: process.cwd(), coreLogger: logger };
  const broker = RedisBroker.of(home, checked, { host, serves: true }) ?? new MemoryBroker();
  const hub = new SseHub({ options: checked, broker, logger });
  if (authorize !== undefined) hub.authorize(authorize as unknown as Authorize);
  hub.start().catch((error: Error) => logger.error(error));
  return hub;
}

/** Options over the defaults, as Egg merges them: an option that is an object over its own defaults. */
function withDefaults(given: object): object {
  const options: Record<string, unknown> = { ...config.sse };
  for (const [name, value] of Object.entries(given)) {
    const usual = options[name];
    if (value !== undefined) options[name] = isObject(usual) && isObject(value) ? { ...usual, ...value } : value;
  }
  return options;
}
