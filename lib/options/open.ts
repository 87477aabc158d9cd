import type { SseMessage } from '../message/message';
import { group, integer, MAX_MS, Option, optional, when } from './check';
import { checkHeaders } from './options';

/** Options of a stream for one request. */
export interface OpenOptions {
  /**
   * The keys whose messages the stream gets too, as at the stream endpoint: with hello, resume and gaps; `[]` is the
   * default pool. Left out: the stream gets what is sent to it and nothing else, not even hello.
   */
  readonly keys?: readonly string[] | undefined;
  /**
   * The id of a run that the stream gets, from the start or from where its client was, and nothing else; it ends with
   * the run. Not with `keys`.
   */
  readonly run?: string | number | undefined;
  /**
   * The message that goes out first, before anything that was published, or a function that loads it. The function is
   * called once the stream has its place in the order, so that nothing that is published meanwhile is lost; `resumed` says
   * that the client was here before and has missed nothing that it will not get now. If it returns undefined, nothing
   * goes out first.
   */
  readonly first?: SseMessage | First | undefined;
  /** More headers of this answer, as in `config.sse.headers`. */
  readonly headers?: Readonly<Record<string, string | null>> | undefined;
  /** ms the client waits before it comes back. Left out: `config.sse.retry`; without keys, the client decides. */
  readonly retry?: number | undefined;
  /** The value that the events `open` and `close` bring, in place of the grant's. */
  readonly data?: unknown;
}

/** Loads the message that goes out first. */
export type First = (stream: { readonly resumed: boolean }) => SseMessage | undefined | Promise<SseMessage | undefined>;

/** Checks the options of a stream for one request. Throws `SseError` `ERR_SSE_OPTIONS`. */
export function checkOpenOptions(given: unknown): OpenOptions {
  const option = new Option('options', given, 'ERR_SSE_OPTIONS');
  const options = checkEach(option);
  if (options.keys === undefined || options.run === undefined) return options;
  throw option.error('have keys and run; leave out keys: the stream of a run has no others');
}

const checkEach = group<OpenOptions>('an object { keys, run, first, headers, retry, data }', {
  keys: optional(
    when(
      (value) => Array.isArray(value) && value.every((key) => typeof key === 'string' && key !== ''),
      'an array of non-empty strings',
    ),
  ),
  // A run's id and a message are checked where they are read, with codes of their own.
  run: ({ value }) => value as OpenOptions['run'],
  first: ({ value }) => value as OpenOptions['first'],
  headers: optional(checkHeaders),
  retry: optional(integer(0, MAX_MS, 'ms')),
  data: ({ value }) => value,
});
