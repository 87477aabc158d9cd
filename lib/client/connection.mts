import { EventStreamParser, type StreamEvent } from './parser.mjs';
import { backoff, deadAfter, judge, retryAfter } from './policy.mjs';

/** Which stream, and as whom. */
export interface Terms {
  /** Absolute. */
  readonly url: string;
  readonly withCredentials: boolean;
  /** Who the server says that this browser is, '' for nobody it knows; undefined: whoever the first answer says. */
  readonly user?: string | undefined;
}

export type State = 'connecting' | 'open' | 'waiting' | 'closed';

/** The state of a connection, and why. */
export interface StateChange {
  readonly state: State;
  /** Of the answer. */
  readonly status?: number | undefined;
  /** `network`, `timeout`, `end`, `offline`, `status`, `type`, `user`, or what the server said. */
  readonly reason?: string | undefined;
  /** When it tries again, in ms. */
  readonly retryIn?: number | undefined;
}

/** Why headers are asked for: the status that refused those before, and how many attempts have failed in a row. */
export interface Asking {
  readonly status?: number | undefined;
  readonly attempt: number;
}

export interface ConnectionOwner {
  /** The headers of the next request; undefined: there are none, and nobody to ask. */
  headers(asking: Asking): Promise<Record<string, string> | undefined>;
  onState(change: StateChange): void;
  /** What came in one piece. */
  onEvents?(events: readonly StreamEvent[]): void;
  /** What HEAD was asked for: the connection is over then. */
  onUser?(user: string): void;
}

const HEAD_TIMEOUT_MS = 15_000;
const DEFAULT_RETRY_MS = 2_000;
const OFFLINE_MS = 30_000;
const WAKE_MS = 1_000;

/** A stream that comes back to where it was until it is closed, or refused for good. */
export class Connection {
  readonly #terms: Terms;
  readonly #owner: ConnectionOwner;
  #user: string | undefined;
  #keys: readonly string[] = [];
  #newKeys: readonly string[] = [];
  #lastEventId = '';
  #state: State = 'closed';
  #attempt: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Until when the line may be silent, and what it is then. */
  #deadAt = Number.POSITIVE_INFINITY;
  #deadAfter: number | undefined;
  #again: (() => void) | undefined;
  #beganAt = 0;
  #retry = DEFAULT_RETRY_MS;
  #failures = 0;
  /** The server has said when to come back. */
  #isSentAway = false;
  #isRefused = false;

  constructor(terms: Terms, owner: ConnectionOwner) {
    this.#terms = terms;
    this.#user = terms.user;
    this.#owner = owner;
  }

  get lastEventId(): string {
    return this.#lastEventId;
  }

  /** Opens it, or opens it anew at its place, with other keys; of those that are new, only what comes from now on. */
  open(keys: readonly string[], newKeys: readonly string[] = [], lastEventId = this.#lastEventId): void {
    this.#keys = keys;
    this.#newKeys = [...this.#newKeys, ...newKeys].filter((key) => keys.includes(key));
    this.#lastEventId = lastEventId;
    void this.#connect('GET');
  }

  /** Asks who this browser is. */
  identify(): void {
    void this.#connect('HEAD');
  }

  /** Timers may have slept: looks whether the line is dead, and waits no longer for what only the client waits for. */
  wake(): void {
    const now = performance.now();
    if (now > this.#deadAt) this.#attempt?.abort();
    else if (this.#state === 'waiting' && !this.#isSentAway && now - this.#beganAt > WAKE_MS) this.#again?.();
  }

  close(): void {
    this.#end();
    this.#state = 'closed';
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#deadAt = Number.POSITIVE_INFINITY;
    this.#again = undefined;
    const attempt = this.#attempt;
    this.#attempt = undefined;
    attempt?.abort();
  }

  async #connect(method: 'GET' | 'HEAD'): Promise<void> {
    this.#end();
    const attempt = new AbortController();
    const isOver = (): boolean => this.#attempt !== attempt;
    this.#attempt = attempt;
    this.#beganAt = performance.now();
    this.#isSentAway = false;
    // A stream that only changes its keys is open all the while.
    if (this.#state !== 'open') this.#become({ state: 'connecting' });
    const fail = (reason: string, status?: number, wait = backoff(this.#failures, this.#retry)): void => {
      this.#end();
      this.#failures++;
      const isOffline = globalThis.navigator?.onLine === false;
      const retryIn = Math.round(isOffline ? Math.max(wait, OFFLINE_MS) : wait);
      this.#again = () => void this.#connect(method);
      this.#timer = setTimeout(this.#again, retryIn);
      this.#become({ state: 'waiting', reason: isOffline ? 'offline' : reason, status, retryIn });
    };
    const finish = (reason: string, status?: number): void => {
      this.#end();
      this.#become({ state: 'closed', reason, status });
    };

    let reason = 'network';
    try {
      this.#watch(attempt, HEAD_TIMEOUT_MS);
      const asking = { attempt: this.#failures, ...(this.#isRefused && { status: 401 }) };
      const headers = await this.#owner.headers(asking);
      if (isOver()) return;
      // Nobody has another token.
      if (this.#isRefused && headers === undefined) {
        this.#isRefused = false;
        return finish('status', 401);
      }
      const response = await fetch(this.#request(method, headers, attempt.signal));
      if (isOver()) return;
      const { status } = response;
      const verdict = judge(status, response.headers.get('Content-Type'));
      if (verdict === 'renew' && !this.#isRefused) {
        this.#isRefused = true;
        return void this.#connect(method);
      }
      if (verdict === 'retry') {
        const wait = retryAfter(response.headers.get('Retry-After'));
        fail('status', status, wait);
        this.#isSentAway = wait !== undefined;
        return;
      }
      this.#isRefused = false;
      if (verdict !== 'read') return finish(status === 200 ? 'type' : 'status', status);
      if (method === 'HEAD') {
        this.#end();
        return this.#owner.onUser?.(decodeURIComponent(response.headers.get('Sse-User') ?? ''));
      }
      const ending = await this.#read(response.body!, attempt);
      if (isOver()) return;
      if (ending.user !== undefined) return finish('user');
      reason = ending.reason ?? 'end';
      fail(reason, undefined, ending.wait);
      this.#isSentAway = ending.wait !== undefined;
    } catch {
      if (!isOver()) fail(attempt.signal.aborted ? 'timeout' : 'network');
    }
  }

  /** Reads a stream to its end; says why it ended and when to come back, if the server did, or that it is another user's. */
  async #read(
    body: ReadableStream<Uint8Array>,
    attempt: AbortController,
  ): Promise<{ reason?: string; wait?: number | undefined; user?: string }> {
    let batch: StreamEvent[] = [];
    let ending: { reason: string; wait: number | undefined } | undefined;
    let user: string | undefined;
    const parser = new EventStreamParser(this.#lastEventId, (event) => {
      if (user !== undefined) return;
      const own = event.type.startsWith('sse:') ? readObject(event.data) : {};
      if (event.type === 'sse:bye' || event.type === 'sse:busy') {
        ending = { reason: String(own.reason ?? own.code), wait: parser.retry };
      } else {
        if (event.type === 'sse:hello' || event.type === 'sse:grant') {
          const named = typeof own.user === 'string' ? own.user : '';
          this.#user ??= named;
          if (named !== this.#user) {
            user = named;
            return;
          }
          if (event.type === 'sse:hello') this.#deadAfter = deadAfter(own.pingInterval);
        }
        this.#failures = 0;
        this.#newKeys = [];
        this.#become({ state: 'open' });
      }
      batch.push(event);
    });
    const reader = body.getReader();
    for (let silence: number | undefined = HEAD_TIMEOUT_MS; ; silence = this.#deadAfter) {
      this.#watch(attempt, silence);
      const { value, done } = await reader.read();
      if (this.#attempt !== attempt || done) break;
      parser.feed(value);
      if (parser.retry !== undefined && ending === undefined) this.#retry = parser.retry;
      if (user !== undefined) return { user };
      this.#lastEventId = parser.lastEventId;
      if (batch.length > 0) this.#owner.onEvents?.(batch);
      batch = [];
      // A retry of the hello says nothing of when to come back after the goodbye.
      parser.retry = undefined;
    }
    return ending ?? {};
  }

  /** Gives up an attempt that is silent for too long. */
  #watch(attempt: AbortController, ms: number | undefined): void {
    clearTimeout(this.#timer);
    this.#deadAt = ms === undefined ? Number.POSITIVE_INFINITY : performance.now() + ms;
    if (ms !== undefined) this.#timer = setTimeout(() => attempt.abort(), ms);
  }

  #request(method: string, headers: Record<string, string> | undefined, signal: AbortSignal): Request {
    const { url, withCredentials } = this.#terms;
    const target = new URL(url);
    for (const key of this.#keys) target.searchParams.append('connectKey', key);
    for (const key of this.#newKeys) target.searchParams.append('newKey', key);
    if (method === 'GET') target.searchParams.set('withKeys', '1');
    const fields = new Headers(headers);
    fields.set('Accept', 'text/event-stream');
    if (this.#lastEventId !== '' && method === 'GET') {
      // Of another origin, a header would cost a question before each connect; and one holds ASCII.
      if (target.origin === globalThis.location?.origin && /^[ -~]*$/.test(this.#lastEventId))
        fields.set('Last-Event-ID', this.#lastEventId);
      else target.searchParams.set('lastEventId', this.#lastEventId);
    }
    const credentials = withCredentials ? 'include' : 'same-origin';
    return new Request(target, { method, headers: fields, credentials, cache: 'no-store', signal });
  }

  #become(change: StateChange): void {
    if (this.#state === change.state && change.state !== 'waiting') return;
    this.#state = change.state;
    this.#owner.onState(change);
  }
}

function readObject(data: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(data)) as Record<string, unknown>;
  } catch {
    return {};
  }
}
