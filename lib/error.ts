/**
 * A refusal by egg-sse: `code` names what was refused, the text says what was given, what is wrong and what to do.
 *
 * `status` is the HTTP status that answers it when it was a request that was refused.
 */
export class SseError extends Error {
  override readonly name = 'SseError';
  readonly code: string;
  readonly status: number;
  /** Headers of that answer. */
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
