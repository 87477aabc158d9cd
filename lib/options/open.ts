import type { SseMessage } from '../message/message';
import { group, integer, MAX_MS, Option, optional, when } from './check';
import { checkHeaders } from './options';

/** What a stream for one request is to be. */
export interface OpenOptions {
  /**
   * The keys whose messages it gets too, as the stream endpoint gives them: with hello, resume and gaps; `[]` is the
   * default pool. Left out: the stream gets what is sent to it and nothing else, not even hello.
   */
  readonly keys?: readonly string[] | undefined;
  /**
   * The id of a run that it gets, from the start or from where its client was, and nothing else; it ends with the run.
   * Not with `keys`.
   */
  readonly run?: string | number | undefined;
  /**
   * What goes out first, before anything that was published: a message, or a function that loads it. It is called once
   * the stream has its place in the order, so that nothing that is published meanwhile is lost; `resumed` says that the
   * client was here before and has missed nothing that it will not get now. Nothing goes out first when it returns
   * undefined.
   */
  readonly first?: SseMessage | First | undefined;
  /** More headers of this answer, as in `config.sse.headers`. */
  readonly headers?: Readonly<Record<string, string | null>> | undefined;
  /** ms the client waits before it comes back. Left out: as configured; without keys, the client's own business. */
  readonly retry?: number | undefined;
  /** What comes with the events `open` and `close`, in place of the grant's. */
  readonly data?: unknown;
}

/** Loads what goes out first. */
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
  // What cannot be a run's id or a message is refused by what reads it, with a code of its own.
  run: ({ value }) => value as OpenOptions['run'],
  first: ({ value }) => value as OpenOptions['first'],
  headers: optional(checkHeaders),
  retry: optional(integer(0, MAX_MS, 'ms')),
  data: ({ value }) => value,
});
