import { within } from '../base/promises';
import type { RedisOptions } from '../options/redis';

/** An ioredis client, of version 4 to 6, with the methods that the plugin uses. */
export interface RedisClient {
  connect(): Promise<unknown>;
  disconnect(): void;
  call(command: string, ...args: (string | number)[]): Promise<unknown>;
  on(event: string, listener: (...args: never[]) => void): unknown;
  once(event: string, listener: (...args: never[]) => void): unknown;
}

/** The class of such clients, as ioredis exports it. */
export interface RedisClass {
  new (options: RedisOptions): RedisClient;
  Cluster: new (nodes: unknown, options: RedisOptions) => RedisClient;
}

/** How to connect to a Redis: its options, and the class of clients. */
export interface RedisSettings {
  readonly options: RedisOptions;
  readonly Redis: RedisClass;
}

const CONNECT_MS = 5_000;

/**
 * Connects, once: rejects when that fails, lasts longer than 5 s or is aborted. A connection that ends emits `end`, and
 * is not made again.
 */
export async function connectRedis({ options, Redis }: RedisSettings, signal: AbortSignal): Promise<RedisClient> {
  // ioredis must neither connect nor send again by itself: `supervise` connects, and the session knows what to send.
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
  // Without a listener ioredis would print the error; the command that fails says what it means.
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

/** Follows an answer of Redis; rejects when it does not come within so many ms. */
export function answered<T>(ms: number, answer: Promise<T>): Promise<T> {
  return within(ms, answer, () => {
    throw new Error(`Redis did not answer in ${ms} ms`);
  });
}
