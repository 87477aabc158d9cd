import { once } from 'node:events';
import type { Admission } from '../access/authorizer';
import type { Reader } from '../log/reader';
import { encodeOwn, PING } from '../message/frame';
import { GZIP_HEADER, NOTHING_SHARED, type SharedDeflate } from './deflate';
import type { KeySet } from './key_sets';
import { wireOf, type SseRequest, type SseResponse, type Wire } from './wire';

/**
 * Why a connection ended: the `client` left; its time was up (`age`), or that of its grant (`expired`); its client read
 * nothing for `stallTimeout` (`stalled`); the app closed it (`closed`), or disconnected the holders of a key
 * (`disconnected`); the authorizer, asked again, refused it (`refused`); its handler or source failed (`failed`); the
 * worker is going (`shutdown`); its socket failed (`error`).
 */
export type CloseReason =
  | 'client'
  | 'age'
  | 'expired'
  | 'disconnected'
  | 'refused'
  | 'stalled'
  | 'closed'
  | 'failed'
  | 'shutdown'
  | 'error';

/** The owner of a connection, which hears what becomes of it. */
export interface ConnectionOwner {
  /** Hears that it can be written to again. */
  onDrain(connection: Connection): void;
  /** Hears, once, that it is over. */
  onEnd(connection: Connection, reason: CloseReason): void;
}

/** A writer to a connection besides the log. */
export interface Feed {
  /** Hears that it can be written to again. */
  onDrain(): void;
  /** Hears, once, that it is over. */
  onEnd(reason: CloseReason): void;
}

/** The part of a grant that a connection needs. */
export type ConnectionGrant = Pick<Admission, 'keys' | 'user' | 'data' | 'expiresAt'>;

const NO_GRANT: ConnectionGrant = { keys: [], user: undefined, data: undefined, expiresAt: Number.POSITIVE_INFINITY };

// How long a client may read nothing of the rest when its stream is ended early.
const LINGER_MS = 2_000;

/** One open stream: a response, a reader of the log, and the time of its end. */
export class Connection {
  /** The keys that its client asked for. */
  readonly asked: readonly string[];
  readonly reader: Reader;
  /** ms of the monotonic clock when it was opened. */
  readonly openedAt: number;
  /** ms of the monotonic clock at which its lifetime ends. */
  readonly endsAt: number;
  /** ms of the monotonic clock when a byte was last written. */
  lastWriteAt: number;
  /** Whether a ping is due. */
  pingDue = false;
  /** Whether it belongs to one request and reads nothing of the log but, at most, one run. */
  readonly isPrivate: boolean;
  /** The keys in whose pools it is, shared with all connections that hold the same. */
  keySet: KeySet;
  /** Whether its first frames are out: nothing of the log is written before that. */
  isGreeted = false;
  /** The last block of the shared deflate stream that its client has received. */
  heard = NOTHING_SHARED;
  #grant: ConnectionGrant = NO_GRANT;
  #expiresAt = Number.POSITIVE_INFINITY;
  readonly #response: SseResponse;
  readonly #wire: Wire;
  readonly #owner: ConnectionOwner;
  readonly #feed: Feed | undefined;
  readonly #stallTimeout: number;
  #deflate: SharedDeflate | undefined;
  #full = false;
  #ended = false;
  #isTimed = false;

  /** The head of `response` must be written. */
  constructor(
    response: SseResponse,
    owner: ConnectionOwner,
    options: {
      asked: readonly string[];
      keySet: KeySet;
      reader: Reader;
      now: number;
      endsAt: number;
      stallTimeout: number;
      isPrivate: boolean;
      feed?: Feed | undefined;
    },
  ) {
    this.#response = response;
    this.#wire = wireOf(response);
    this.#owner = owner;
    this.#feed = options.feed;
    this.#stallTimeout = options.stallTimeout;
    this.isPrivate = options.isPrivate;
    this.asked = options.asked;
    this.keySet = options.keySet;
    this.reader = options.reader;
    this.openedAt = options.now;
    this.lastWriteAt = options.now;
    this.endsAt = options.endsAt;
    // The app's own timeout for answers would end the stream.
    response.setTimeout(0);
    response.on('close', () => this.#finish('client'));
    response.on('error', () => this.#finish('error'));
  }

  /** Whether it can be written to: it is open, and all that was written before is on its way. */
  get writable(): boolean {
    return !this.#ended && !this.#full;
  }

  /** Bytes that wait in this process for the client to read. */
  get unsentBytes(): number {
    return this.#wire.unsentBytes(this.#response);
  }

  /** The keys that it holds, without the plugin's own. */
  get keys(): readonly string[] {
    return this.#grant.keys;
  }

  /** The user, if the app's authorizer knows it. */
  get user(): string | undefined {
    return this.#grant.user;
  }

  /** The app's own data of the grant. */
  get data(): unknown {
    return this.#grant.data;
  }

  /** ms of the monotonic clock at which its grant ends. */
  get expiresAt(): number {
    return this.#expiresAt;
  }

  /** Sets its grant from now on; `expiresAt` is in ms since 1970. */
  grant(grant: ConnectionGrant): void {
    this.#grant = { keys: grant.keys, user: grant.user, data: grant.data, expiresAt: grant.expiresAt };
    this.#expiresAt = performance.now() + grant.expiresAt - Date.now();
  }

  /** The request that opened it. */
  get request(): SseRequest {
    return this.#response.req;
  }

  /** Compresses all that is written from now on; the head must say so. Holders of the same keys share `deflate`. */
  compress(deflate: SharedDeflate): void {
    if (this.#deflate === undefined) this.#wire.write(this.#response, GZIP_HEADER);
    this.#deflate = deflate;
    this.heard = NOTHING_SHARED;
  }

  /** Whether all that is written is compressed. */
  get compressed(): boolean {
    return this.#deflate !== undefined;
  }

  /** Writes bytes that connections at the same offset get as well; `isNewest`: nothing newer is there for it. */
  writeShared(bytes: Buffer, now: number, isNewest: boolean): void {
    if (this.#ended) return;
    this.#write(this.#deflate === undefined ? bytes : this.#deflate.compress(bytes, this, isNewest), now);
  }

  /** Writes bytes for this client only. */
  write(bytes: Buffer, now: number): void {
    if (this.#ended) return;
    this.#write(this.#encode(bytes), now);
  }

  ping(now: number): void {
    this.write(PING, now);
  }

  /** Ends the stream early, with `sse:bye` that gives `text`; `retry`: when the client may come back, in ms. */
  close(reason: CloseReason, { text = reason, retry }: { text?: string; retry?: number } = {}): void {
    const error = { message: `this stream ended early: ${text}` };
    this.#end(reason, LINGER_MS, encodeOwn('bye', { reason: text, ...this.asError(error) }, { retry }));
  }

  /** Ends a stream that is complete, after some last bytes if there are any; its client has `stallTimeout` to read. */
  end(reason: CloseReason, last?: Buffer): void {
    this.#end(reason, this.#stallTimeout, last);
  }

  /** The fields by which clients of OpenAI's API, which read private streams, know an error. */
  asError(error: { readonly code?: string; readonly message: string }): { error?: typeof error } {
    return this.isPrivate ? { error } : {};
  }

  /** Resolves when the response is over and its socket free. */
  async whenClosed(): Promise<void> {
    await once(this.#response, 'close');
  }

  /** Drops the socket, with all bytes that wait. */
  destroy(reason: CloseReason): void {
    this.#finish(reason);
    this.#response.destroy();
  }

  #encode(bytes: Buffer): Buffer {
    return this.#deflate === undefined ? bytes : this.#deflate.compressAlone(bytes, this);
  }

  #write(bytes: Buffer, now: number): void {
    this.lastWriteAt = now;
    this.pingDue = false;
    if (this.#wire.write(this.#response, bytes) || this.#full) return;
    // `write` returns false for every large write, even when the kernel has accepted all of it.
    if (this.unsentBytes === 0) return;
    this.#full = true;
    this.#wire.drains(this.#response).once('drain', () => this.#onDrain());
    this.#limit(this.#stallTimeout);
  }

  #end(reason: CloseReason, lingerMs: number, last: Buffer | undefined): void {
    if (this.#ended) return;
    this.#finish(reason);
    this.#limit(lingerMs);
    if (last === undefined) this.#response.end();
    else this.#response.end(this.#encode(last));
  }

  #onDrain(): void {
    this.#full = false;
    if (this.#ended) return;
    this.#response.setTimeout(0);
    this.#owner.onDrain(this);
    this.#feed?.onDrain();
  }

  /** Drops a client that reads nothing for `ms`: Node restarts this timer whenever the kernel accepts bytes. */
  #limit(ms: number): void {
    this.#response.setTimeout(ms);
    if (this.#isTimed) return;
    this.#isTimed = true;
    this.#response.on('timeout', () => this.destroy('stalled'));
  }

  #finish(reason: CloseReason): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#owner.onEnd(this, reason);
    this.#feed?.onEnd(reason);
  }
}
