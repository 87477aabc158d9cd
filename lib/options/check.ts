import { SseError, show } from '../base/error';

/** Says what a value must be, when it is something else. */
export type Check = (value: unknown) => string | undefined;

// Timers of Node hold 31 bits of ms and fire at once beyond.
export const MAX_MS = 2 ** 31 - 1;

/**
 * Checks each of an object's options, and returns a copy of those that are there.
 *
 * Throws `SseError` `ERR_SSE_CONFIG` that names the first one that is wrong or that nobody knows; `path` says where the
 * object stands.
 */
export function check(
  path: string,
  given: object,
  checks: Record<string, Check>,
  ignored: ReadonlySet<string> = new Set(),
): Record<string, unknown> {
  const values = given as Record<string, unknown>;
  const names = Object.keys(checks);
  for (const name of Object.keys(values)) {
    if (!names.includes(name) && !ignored.has(name)) {
      throw new SseError(
        'ERR_SSE_CONFIG',
        `${path}.${name} is not an option of egg-sse; there are ${names.join(', ')}`,
      );
    }
  }
  const known: Record<string, unknown> = {};
  for (const [name, complaint] of Object.entries(checks)) {
    const value = values[name];
    const expected = complaint(value);
    if (expected !== undefined) throw wrong(`${path}.${name}`, value, expected);
    if (value !== undefined) known[name] = value;
  }
  return known;
}

/** The error of an option that is wrong. */
export function wrong(name: string, value: unknown, expected: string): SseError {
  return new SseError('ERR_SSE_CONFIG', `${name} is ${show(value)}; it must be ${expected}`);
}

/** An integer within bounds. */
export function integer(min: number, max: number, unit: string): Check {
  return (value) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
      ? undefined
      : `an integer from ${min} to ${max}, in ${unit}`;
}

/** What may be left out. */
export function optional(complaint: Check): Check {
  return (value) => (value === undefined ? undefined : complaint(value));
}

/** One of a few values. */
export function oneOf(...values: readonly unknown[]): Check {
  return (value) => (values.includes(value) ? undefined : values.map((each) => JSON.stringify(each)).join(' or '));
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
