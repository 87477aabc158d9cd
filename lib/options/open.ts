import { integer, isObject, MAX_MS, optional, type Check } from './check';
import { SseError, show } from '../base/error';
import type { SseMessage } from '../message/message';
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

const CHECKS: { [name in keyof OpenOptions]-?: Check } = {
  keys: optional((value) =>
    Array.isArray(value) && value.every((key) => typeof key === 'string' && key !== '')
      ? undefined
      : 'an array of non-empty strings',
  ),
  run: () => undefined,
  first: () => undefined,
  headers: optional(checkHeaders),
  retry: optional(integer(0, MAX_MS, 'ms')),
  data: () => undefined,
};

/** Checks the options of a stream for one request. Throws `SseError` `ERR_SSE_OPTIONS`. */
export function checkOpenOptions(options: unknown): OpenOptions {
  if (!isObject(options)) throw wrong('options', options, `an object { ${Object.keys(CHECKS).join(', ')} }`);
  for (const [name, value] of Object.entries(options)) {
    const expected = Object.hasOwn(CHECKS, name)
      ? CHECKS[name as keyof OpenOptions](value)
      : 'left out: there is no such option';
    if (expected !== undefined) throw wrong(name, value, expected);
  }
  const { keys, run } = options as OpenOptions;
  if (keys !== undefined && run !== undefined) throw wrong('keys', keys, 'left out: the stream of a run has no others');
  return options;
}

function wrong(name: string, value: unknown, expected: string): SseError {
  return new SseError('ERR_SSE_OPTIONS', `${name} is ${show(value)}; it must be ${expected}`);
}
