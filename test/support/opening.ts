import { SseError } from '../../lib/base/error';
import type { createHub } from '../../lib/create_hub';
import type { SseStream } from '../../lib/http/stream';
import type { Handler } from './hub';

type OpenOptions = Parameters<ReturnType<typeof createHub>['open']>[2];

/** A handler that opens each request as a stream and keeps it for the test. */
export function opening(options?: OpenOptions): Handler & { readonly streams: SseStream[] } {
  const streams: SseStream[] = [];
  return Object.assign<Handler, { streams: SseStream[] }>(
    (hub, request, response) => streams.push(hub.open(request, response, options)),
    { streams },
  );
}

/** A source that counts what is pulled, and tells when it is told to stop. */
export function endless(
  message = (i: number): string => String(i),
): AsyncIterable<string> & { pulled: number; returned: number } {
  const source = {
    pulled: 0,
    returned: 0,
    [Symbol.asyncIterator]: () => ({
      next: async () => ({ done: false, value: message(source.pulled++) }),
      return: async (): Promise<IteratorResult<string>> => {
        source.returned++;
        return { done: true, value: undefined };
      },
    }),
  };
  return source;
}

/** A source that never gives anything. */
export function stuck(): AsyncIterable<string> & { returned: number } {
  const source = {
    returned: 0,
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise<IteratorResult<string>>(() => undefined),
      return: async (): Promise<IteratorResult<string>> => {
        source.returned++;
        return { done: true, value: undefined };
      },
    }),
  };
  return source;
}

/** Whether an error says that a stream is over. */
export const isClosed = (error: unknown): boolean => error instanceof SseError && error.code === 'ERR_SSE_CLOSED';
