import { SseError, show } from '../base/error';
import type { SseLogger } from '../base/logger';
import { anonymous, authenticated, group, user } from '../message/keys';
import { within } from '../base/promises';
import type { Groups } from '../options/options';

/** The context that an authorizer is given: Egg's `ctx`, or Node's request where there is no Egg. */
// oxlint-disable-next-line typescript/no-empty-object-type -- lib/index.ts says that it is Egg's
export interface AuthorizeContext {}

/** The answer of an authorizer: who a client is, and what it may hear. */
export interface Grant {
  /** The keys that the connection is to hold. Left out: those it asked for. */
  readonly keys?: readonly string[] | undefined;
  /** The user's id: the connection holds `user(id)` and `authenticated()`. Left out or null: nobody known, `anonymous()`. */
  readonly user?: string | number | null | undefined;
  /** The groups that the client is in: the connection holds their keys, and those of the groups around them. */
  readonly groups?: readonly string[] | undefined;
  /** When the grant ends, and the stream with it: a Date, or ms since 1970. */
  readonly expiresAt?: Date | number | undefined;
  /** Any value of the app's own: the events `open` and `close` bring it. */
  readonly data?: unknown;
}

/** Says who a client is and what it may hear; throws to refuse it, with the error's `status`. */
export type Authorize = (ctx: AuthorizeContext, asked: { readonly keys: readonly string[] }) => Grant | Promise<Grant>;

/** A grant after its checks, and what follows from it. */
export interface Admission {
  /** The keys that the client asked for or was given, without the plugin's own. */
  readonly keys: readonly string[];
  /** The keys of its user and of its groups. */
  readonly ownKeys: readonly string[];
  readonly user: string | undefined;
  readonly groups: readonly string[];
  /** ms since 1970. */
  readonly expiresAt: number;
  readonly data: unknown;
}

// `config.sse.groups` may find new groups without end; a request must not wait for that.
const MAX_GROUPS = 1_000;

// Errors that are worded for clients already.
const OWN_CODES = new Set(['ERR_SSE_REFUSED', 'ERR_SSE_AUTHORIZE']);

/** Decides which clients may open a stream, and which keys that holds. */
export class Authorizer {
  readonly #groups: Groups;
  readonly #timeout: number;
  readonly #logger: Pick<SseLogger, 'error'>;
  #authorize: Authorize | undefined;

  constructor(options: { groups: Groups; authorizeTimeout: number }, logger: Pick<SseLogger, 'error'>) {
    this.#groups = options.groups;
    this.#timeout = options.authorizeTimeout;
    this.#logger = logger;
  }

  /** Whether the app has an authorizer. */
  get isSet(): boolean {
    return this.#authorize !== undefined;
  }

  /** Sets the app's authorizer. A second one is refused: it would have to be asked, too. */
  use(authorize: Authorize): void {
    if (typeof authorize !== 'function') {
      throw new SseError('ERR_SSE_AUTHORIZE', `authorize was given ${show(authorize)}; it must be a function of ctx`);
    }
    if (this.#authorize !== undefined) {
      throw new SseError('ERR_SSE_AUTHORIZE', 'authorize was called before; let one function decide for all');
    }
    this.#authorize = authorize;
  }

  /** The admission of any client that asks for `keys`; undefined when the authorizer is to be asked. */
  freely(keys: readonly string[]): Admission | undefined {
    return this.#authorize === undefined ? unauthorized(keys) : undefined;
  }

  /**
   * Asks the authorizer, in bounded time. Without one every client gets the keys it asks for.
   *
   * Throws `SseError`: `ERR_SSE_REFUSED` with the status that the authorizer threw, or `ERR_SSE_AUTHORIZE` with 500 when
   * it failed by itself and 503 when it took too long; the cause of these two is logged, and no client is told.
   */
  async admit(ctx: () => Promise<object>, asked: { readonly keys: readonly string[] }): Promise<Admission> {
    const freely = this.freely(asked.keys);
    if (freely !== undefined) return freely;
    try {
      return await within(this.#timeout, this.#ask(this.#authorize!, ctx, asked), () => {
        throw this.#late();
      });
    } catch (error) {
      throw this.#toRefusal(error);
    }
  }

  async #ask(
    authorize: Authorize,
    ctx: () => Promise<object>,
    asked: { readonly keys: readonly string[] },
  ): Promise<Admission> {
    const grant: unknown = await authorize((await ctx()) as AuthorizeContext, { keys: [...asked.keys] });
    const { keys = asked.keys, user: id, groups = [], expiresAt, data } = checkGrant(grant);
    const endsAt = expiresAt === undefined ? Number.POSITIVE_INFINITY : Number(expiresAt);
    if (endsAt <= Date.now()) {
      throw new SseError('ERR_SSE_REFUSED', 'the grant of this client has expired; log in and connect again', {
        status: 401,
      });
    }
    const isKnown = id !== undefined && id !== null;
    const around = await this.#around(groups);
    return {
      keys: [...new Set(keys)],
      ownKeys: isKnown ? [authenticated(), user(id), ...around.map(group)] : [anonymous(), ...around.map(group)],
      user: isKnown ? String(id) : undefined,
      groups,
      expiresAt: endsAt,
      data,
    };
  }

  /** Groups and all groups around them, each once, so that a cycle of groups ends. */
  async #around(groups: readonly string[]): Promise<string[]> {
    const found = new Set(groups);
    for (const name of found) {
      for (const parent of await this.#groups(name)) found.add(parent);
      if (found.size > MAX_GROUPS) {
        throw new Error(
          `more than ${MAX_GROUPS} groups around ${groups.map(show).join(', ')}: config.sse.groups does not end`,
        );
      }
    }
    return [...found];
  }

  #late(): SseError {
    this.#logger.error(new Error(`the authorizer took more than ${this.#timeout} ms (config.sse.authorizeTimeout)`));
    return new SseError('ERR_SSE_AUTHORIZE', 'it could not be found out in time what this client may hear; try again', {
      status: 503,
    });
  }

  #toRefusal(error: unknown): SseError {
    if (error instanceof SseError && OWN_CODES.has(error.code)) return error;
    // The fields of errors that Koa's `ctx.throw` and http-errors make.
    const { status, expose, message, headers } = (error ?? {}) as Partial<Record<string, unknown>>;
    if (
      error instanceof SseError ||
      typeof status !== 'number' ||
      !Number.isInteger(status) ||
      status < 400 ||
      status > 599
    ) {
      this.#logger.error(new Error('the authorizer failed', { cause: error }));
      return new SseError('ERR_SSE_AUTHORIZE', 'it could not be found out what this client may hear', { status: 500 });
    }
    const isForClients = expose === undefined ? status < 500 : expose === true;
    const text = isForClients && typeof message === 'string' && message !== '' ? message : 'this stream is refused';
    return new SseError('ERR_SSE_REFUSED', text, { status, headers: readHeaders(headers) });
  }
}

/** The admission of a client of an app without an authorizer. */
function unauthorized(keys: readonly string[]): Admission {
  return {
    keys,
    ownKeys: [anonymous()],
    user: undefined,
    groups: [],
    expiresAt: Number.POSITIVE_INFINITY,
    data: undefined,
  };
}

function checkGrant(grant: unknown): Grant {
  if (typeof grant !== 'object' || grant === null || Array.isArray(grant)) {
    throw new Error(
      `the authorizer returned ${show(grant)}; it must return a grant, { keys, user, groups, … }, or throw`,
    );
  }
  const { keys, user: id, groups, expiresAt } = grant as Grant;
  if (keys !== undefined && !isNames(keys)) throw wrong('keys', keys, 'an array of non-empty strings');
  if (id !== undefined && id !== null) user(id);
  if (groups !== undefined && !isNames(groups)) throw wrong('groups', groups, 'an array of non-empty strings');
  if (expiresAt !== undefined && !Number.isFinite(Number(expiresAt))) {
    throw wrong('expiresAt', expiresAt, 'a Date, or ms since 1970');
  }
  return grant;
}

function wrong(name: string, value: unknown, expected: string): Error {
  return new Error(`the authorizer returned a grant whose ${name} is ${show(value)}; it must be ${expected}`);
}

function isNames(value: unknown): boolean {
  return Array.isArray(value) && value.every((name) => typeof name === 'string' && name !== '');
}

function readHeaders(headers: unknown): Readonly<Record<string, string>> {
  if (typeof headers !== 'object' || headers === null) return {};
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}
