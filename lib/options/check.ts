import { SseError, show } from '../base/error';

/**
 * Checks an option, and returns what is kept of it: of an object, a copy.
 *
 * Throws `SseError` that names the option, what was given and what it may be.
 */
export type Check<T> = (option: Option) => T;

/** The checks of an object's options, by their names. */
export type Checks<T> = { readonly [name in keyof T]-?: Check<T[name]> };

/** The longest time of Node's timers: beyond 31 bits of ms they fire at once. */
export const MAX_MS = 2 ** 31 - 1;

/** An option as it was given, with its path: the errors about it name both. */
export class Option {
  readonly value: unknown;
  readonly #path: string;
  readonly #code: string;

  constructor(path: string, value: unknown, code = 'ERR_SSE_CONFIG') {
    this.#path = path;
    this.value = value;
    this.#code = code;
  }

  /** An option in this one. */
  at(name: string): Option {
    return new Option(`${this.#path}.${name}`, (this.value as Record<string, unknown>)[name], this.#code);
  }

  /** An entry of this option, whose name the app has chosen. */
  entry(name: string): Option {
    return new Option(`${this.#path}[${show(name)}]`, (this.value as Record<string, unknown>)[name], this.#code);
  }

  /** This option with another value in its place. */
  with(value: unknown): Option {
    return new Option(this.#path, value, this.#code);
  }

  /** The error for a value that is wrong. */
  wrong(expected: string): SseError {
    return this.error(`is ${show(this.value)}; it must be ${expected}`);
  }

  /** An error whose text begins with this option's path. */
  error(text: string): SseError {
    return new SseError(this.#code, `${this.#path} ${text}`);
  }
}

/** Checks an object of options; refuses a name that is neither in `checks` nor `ignored`. */
export function group<T>(
  expected: string,
  checks: Checks<T>,
  { ignored = [] }: { ignored?: readonly string[] } = {},
): Check<T> {
  const names = Object.keys(checks);
  return (option) => {
    if (!isObject(option.value)) throw option.wrong(expected);
    for (const name of Object.keys(option.value)) {
      if (!names.includes(name) && !ignored.includes(name)) {
        throw option.at(name).error(`is not an option of egg-sse; there are ${names.join(', ')}`);
      }
    }
    const kept: Partial<T> = {};
    for (const name of names as (keyof T & string)[]) {
      const value = checks[name](option.at(name));
      if (value !== undefined) kept[name] = value;
    }
    return kept as T;
  };
}

/** Checks an object whose names the app chooses, and whose values are all of one kind. */
export function record<T>(expected: string, check: (entry: Option, name: string) => T): Check<Record<string, T>> {
  return (option) => {
    if (!isObject(option.value)) throw option.wrong(expected);
    return Object.fromEntries(Object.keys(option.value).map((name) => [name, check(option.entry(name), name)]));
  };
}

/** Checks a value by a test. */
export function when<T>(accepts: (value: unknown) => boolean, expected: string): Check<T> {
  return (option) => {
    if (!accepts(option.value)) throw option.wrong(expected);
    return option.value as T;
  };
}

/** Checks an integer, with its bounds and its unit. */
export function integer(min: number, max: number, unit: string): Check<number> {
  return when(
    (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
    `an integer from ${min} to ${max}, in ${unit}`,
  );
}

/** Checks that a value is one of a few. */
export function oneOf<T>(...values: readonly T[]): Check<T> {
  return when((value) => values.includes(value as T), values.map((value) => JSON.stringify(value)).join(' or '));
}

/** Checks an option unless it is left out. */
export function optional<T>(check: Check<T>): Check<T | undefined> {
  return (option) => (option.value === undefined ? undefined : check(option));
}

/** Checks an option unless it is `false`. */
export function orFalse<T>(check: Check<T>): Check<T | false> {
  return (option) => option.value !== false && check(option);
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
