/**
 * A refusal by egg-sse: `code` names what was refused, the text says what was given, what is wrong and what to do.
 *
 * `status` is the HTTP status of the answer, when a request was refused.
 */
export class SseError extends Error {
  override readonly name = 'SseError';
  readonly code: string;
  readonly status: number;
  /** More headers of that answer. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: string,
    message: string,
    options: { status?: number; cause?: unknown; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.status = options.status ?? 400;
    this.headers = options.headers ?? {};
  }
}

/** An error as a client is told of it: an error that is not for clients loses its text, which may hold secrets. */
export function toTold(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof SseError) return { code: error.code, message: error.message };
  const { expose, code, message } = (error ?? {}) as Partial<Record<string, unknown>>;
  if (expose === true && typeof message === 'string') {
    return { code: typeof code === 'string' ? code : 'ERR_SSE_SOURCE', message };
  }
  return { code: 'ERR_SSE_SOURCE', message: 'something failed on the server; this stream ends here' };
}

/** Shows a rejected value in an error text: short, on one line, whatever it is. */
export function show(value: unknown): string {
  if (typeof value === 'string') {
    const text = value.length > 64 ? `${value.slice(0, 64)}… (${value.length} characters)` : value;
    return JSON.stringify(text);
  }
  if (value === null || typeof value === 'number' || typeof value === 'boolean' || value === undefined) {
    return String(value);
  }
  if (typeof value === 'bigint') return `${String(value).slice(0, 64)}n`;
  if (typeof value === 'symbol') return 'a symbol';
  if (typeof value === 'function') return 'a function';
  return Array.isArray(value) ? `an array of ${value.length}` : 'an object';
}

/** A thrown value as an error. */
export function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
