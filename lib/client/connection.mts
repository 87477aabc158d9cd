import { EventStreamParser, type StreamEvent } from './parser.mjs';
import { backoff, deadAfter, judge, retryAfter } from './policy.mjs';

/** The stream to connect to, and the user to be. */
export interface Terms {
  /** Absolute. */
  readonly url: string;
  readonly withCredentials: boolean;
  /** The user that the server must name, '' for none; undefined: the one of the first answer. */
  readonly user?: string | undefined;
}

export type State = 'connecting' | 'open' | 'waiting' | 'closed';

/** The state of a connection, and why. */
export interface StateChange {
  readonly state: State;
  /** The status of the answer. */
  readonly status?: number | undefined;
  /** `network`, `timeout`, `end`, `offline`, `status`, `type`, `user`, or what the server said. */
  readonly reason?: string | undefined;
  /** The time until it tries again, in ms. */
  readonly retryIn?: number | undefined;
  /** The user of this browser, if that was asked for. */
  readonly user?: string | undefined;
}

/** Why headers are asked for: the status that refused the last ones, and the number of failed attempts in a row. */
export interface Asking {
  readonly status?: number | undefined;
  readonly attempt: number;
}

/** The owner of a connection, which hears what becomes of it. */
export interface ConnectionOwner {
  /** The headers of the next request; undefined when there are none. */
  headers(asking: Asking): Promise<Record<string, string> | undefined>;
  onState(change: StateChange): void;
  /** Hears of events that came in one piece. */
  onEvents?(events: readonly StreamEvent[]): void;
}

/** The end of an attempt. Without a `state` it is tried again; `retryIn` is there when the server has said when. */
type Outcome = Partial<StateChange>;

const HEAD_TIMEOUT_MS = 15_000;
const DEFAULT_RETRY_MS = 2_000;
const OFFLINE_MS = 30_000;

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
  /** The time from which on `wake` makes it try again: the line is dead then, or it waits on its own account. */
  #staleAt = Infinity;
  #deadAfter: number | undefined;
  #method: 'GET' | 'HEAD' = 'GET';
  #retry = DEFAULT_RETRY_MS;
  #failures = 0;
  /** The status for which the next attempt needs other headers. */
  #refused: number | undefined;

  constructor(terms: Terms, owner: ConnectionOwner) {
    this.#terms = terms;
    this.#user = terms.user;
    this.#owner = owner;
  }

  /** Opens the stream, or opens it anew at its place with other keys. Of the new keys it gets messages from now on. */
  open(keys: readonly string[], newKeys: readonly string[] = [], lastEventId = this.#lastEventId): void {
    this.#keys = keys;
    this.#newKeys = [...this.#newKeys, ...newKeys].filter((key) => keys.includes(key));
    this.#lastEventId = lastEventId;
    void this.#connect('GET');
  }

  /** Asks the server for the user of this browser. */
  identify(): void {
    void this.#connect('HEAD');
  }

  /** Tries again if the line is dead, or if it waits on its own account: timers may have slept with the computer. */
  wake(): void {
    if (performance.now() > this.#staleAt) void this.#connect();
  }

  close(): void {
    this.#end();
    this.#state = 'closed';
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#staleAt = Infinity;
    this.#attempt?.abort();
    this.#attempt = undefined;
  }

  async #connect(method = this.#method): Promise<void> {
    this.#method = method;
    this.#end();
    const attempt = new AbortController();
    this.#attempt = attempt;
    // A stream that only changes its keys is open all the while.
    if (this.#state !== 'open') this.#become({ state: 'connecting' });
    let outcome: Outcome;
    try {
      outcome = await this.#try(attempt);
    } catch {
      outcome = { reason: attempt.signal.aborted ? 'timeout' : 'network' };
    }
    // Another attempt is under way, or the connection is closed.
    if (this.#attempt !== attempt) return;
    this.#end();
    const { retryIn, ...why } = outcome;
    if (why.state === 'connecting') return void this.#connect();
    if (why.state) return this.#become(why as StateChange);
    const wait = Math.round(retryIn ?? backoff(this.#failures++, this.#retry));
    if (!retryIn) this.#staleAt = 0;
    // The event `online` wakes it.
    this.#timer = setTimeout(() => void this.#connect(), navigator.onLine ? wait : OFFLINE_MS);
    this.#become({ ...why, state: 'waiting', retryIn: wait });
  }

  async #try(attempt: AbortController): Promise<Outcome> {
    this.#watch(attempt, HEAD_TIMEOUT_MS);
    const refused = this.#refused;
    this.#refused = undefined;
    const own = await this.#owner.headers({ status: refused, attempt: this.#failures });
    // No tab has other headers than those that were refused.
    if (refused && !own) return { state: 'closed', reason: 'status', status: refused };
    const { status, headers, body } = await this.#request(own, attempt.signal);
    if (status === 401 && !refused) {
      this.#refused = status;
      return { state: 'connecting' };
    }
    const verdict = judge(status, headers.get('Content-Type'));
    if (verdict === 'waiting') return { reason: 'status', status, retryIn: retryAfter(headers.get('Retry-After')) };
    if (verdict !== 'open') return { state: 'closed', reason: status === 200 ? 'type' : 'status', status };
    if (this.#method === 'GET') return this.#read(body!, attempt);
    return { state: 'open', user: decodeURIComponent(headers.get('Sse-User') ?? '') };
  }

  /** Reads a stream to its end; returns why it ended. */
  async #read(body: ReadableStream<Uint8Array>, attempt: AbortController): Promise<Outcome> {
    let batch: StreamEvent[] = [];
    let outcome: Outcome = { reason: 'end' };
    const parser = new EventStreamParser(this.#lastEventId, (event) => {
      const { type, data, retry } = event;
      if (outcome.state) return;
      if (type === 'sse:bye' || type === 'sse:busy') {
        const { reason, code } = JSON.parse(data) as Record<string, string>;
        outcome = { reason: reason ?? code, retryIn: retry };
      } else {
        if (type === 'sse:hello' || type === 'sse:grant') {
          const { user = '', pingInterval } = JSON.parse(data) as { user?: string; pingInterval?: number };
          this.#user ??= user;
          if (user !== this.#user) {
            outcome = { state: 'closed', reason: 'user' };
            return;
          }
          if (type === 'sse:hello') this.#deadAfter = deadAfter(pingInterval);
        }
        this.#retry = retry ?? this.#retry;
        this.#failures = 0;
        this.#newKeys = [];
        this.#become({ state: 'open' });
      }
      this.#lastEventId = event.lastEventId;
      batch.push(event);
    });
    const reader = body.getReader();
    for (let silence: number | undefined = HEAD_TIMEOUT_MS; ; silence = this.#deadAfter) {
      this.#watch(attempt, silence);
      const { value, done } = await reader.read();
      if (done || this.#attempt !== attempt) return outcome;
      parser.feed(value);
      if (outcome.state) return outcome;
      if (batch[0]) this.#owner.onEvents?.(batch);
      batch = [];
    }
  }

  /** Gives up an attempt that is silent for too long. */
  #watch(attempt: AbortController, ms: number | undefined): void {
    clearTimeout(this.#timer);
    this.#staleAt = ms ? performance.now() + ms : Infinity;
    if (ms) this.#timer = setTimeout(() => attempt.abort(), ms);
  }

  #request(headers: Record<string, string> | undefined, signal: AbortSignal): Promise<Response> {
    const target = new URL(this.#terms.url);
    const { searchParams } = target;
    const fields = new Headers(headers);
    fields.set('Accept', 'text/event-stream');
    const method = this.#method;
    if (method === 'GET') {
      for (const key of this.#keys) searchParams.append('connectKey', key);
      for (const key of this.#newKeys) searchParams.append('newKey', key);
      searchParams.set('withKeys', '1');
      const id = this.#lastEventId;
      // A header may have ASCII only; and to another origin it would cost a CORS preflight before each connect.
      if (target.origin !== location.origin || /[^ -~]/.test(id)) searchParams.set('lastEventId', id);
      else if (id) fields.set('Last-Event-ID', id);
    }
    const credentials = this.#terms.withCredentials ? 'include' : 'same-origin';
    return fetch(target, { method, headers: fields, credentials, cache: 'no-store', signal });
  }

  #become(change: StateChange): void {
    if (this.#state === change.state && change.state !== 'waiting') return;
    this.#state = change.state;
    this.#owner.onState(change);
  }
}
