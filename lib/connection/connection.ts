import { once } from 'node:events';
import type { Admission } from '../access/authorizer';
import { NOTHING_SHARED, type SharedDeflate, GZIP_HEADER } from './deflate';
import { encodeOwn, PING } from '../message/frame';
import type { KeySet } from './key_sets';
import type { Reader } from '../log/reader';
import { type SseRequest, type SseResponse, wireOf, type Wire } from './wire';

/**
 * Why a connection ended: the `client` left; its time was up (`age`), or that of its grant (`expired`); it took nothing
 * for `stallTimeout` (`stalled`); the app closed it (`closed`) or disconnected those like it (`disconnected`); the authorizer,
 * asked again, refused it (`refused`); what fed it failed (`failed`); the worker is going (`shutdown`); its socket failed
 * (`error`).
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

/** What a connection tells its hub. */
export interface ConnectionOwner {
  /** It can take more. */
  onDrain(connection: Connection): void;
  /** It is over; said once. */
  onEnd(connection: Connection, reason: CloseReason): void;
}

/** What writes to a connection besides the log. */
export interface Feed {
  /** It can take more. */
  onDrain(): void;
  /** It is over; said once. */
  onEnd(reason: CloseReason): void;
}

/** What a connection was granted. */
export type ConnectionGrant = Pick<Admission, 'keys' | 'user' | 'data' | 'expiresAt'>;

const NO_GRANT: ConnectionGrant = { keys: [], user: undefined, data: undefined, expiresAt: Number.POSITIVE_INFINITY };

// How long a client may take nothing of what is left when its stream is ended.
const LINGER_MS = 2_000;

/** One open stream: a response, a place in the log, and when its time is up. */
export class Connection {
  /** The keys it asked for. */
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
  /** Whether it belongs to one request, and has nothing of the log but, at most, one run. */
  readonly isPrivate: boolean;
  /** The keys in whose pools it is, with all who hold the same. */
  keySet: KeySet;
  /** Whether what comes first is out: the log waits for that. */
  isGreeted = false;
  #grant: ConnectionGrant = NO_GRANT;
  #expiresAt = Number.POSITIVE_INFINITY;
  readonly #response: SseResponse;
  readonly #wire: Wire;
  readonly #owner: ConnectionOwner;
  readonly #feed: Feed | undefined;
  readonly #stallTimeout: number;
  #deflate: SharedDeflate | undefined;
  /** What of it its client has heard last. */
  heard = NOTHING_SHARED;
  #full = false;
  #ended = false;
  #isTimed = false;

  /** The response's head must be written. */
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
    // The app's own timeout for answers is not meant for a stream.
    response.setTimeout(0);
    response.on('close', () => this.#finish('client'));
    response.on('error', () => this.#finish('error'));
  }

  /** Whether it can take more: it is open, and what it was given before is on its way. */
  get writable(): boolean {
    return !this.#ended && !this.#full;
  }

  /** Bytes that wait in this process for the client to read. */
  get unsentBytes(): number {
    return this.#wire.unsentBytes(this.#response);
  }

  /** The keys it holds, without the plugin's own. */
  get keys(): readonly string[] {
    return this.#grant.keys;
  }

  /** Who it is, if the app's authorizer knows. */
  get user(): string | undefined {
    return this.#grant.user;
  }

  /** The app's own. */
  get data(): unknown {
    return this.#grant.data;
  }

  /** ms of the monotonic clock at which its grant ends. */
  get expiresAt(): number {
    return this.#expiresAt;
  }

  /** What it holds from now on; `expiresAt` is in ms since 1970. */
  grant(grant: ConnectionGrant): void {
    this.#grant = { keys: grant.keys, user: grant.user, data: grant.data, expiresAt: grant.expiresAt };
    this.#expiresAt = performance.now() + grant.expiresAt - Date.now();
  }

  /** The request that opened it. */
  get request(): SseRequest {
    return this.#response.req;
  }

  /** Has what is written from now on compressed; the head must say so. Those who share `deflate` hear the same. */
  compress(deflate: SharedDeflate): void {
    if (this.#deflate === undefined) this.#wire.write(this.#response, GZIP_HEADER);
    this.#deflate = deflate;
    this.heard = NOTHING_SHARED;
  }

  /** Whether what is written is compressed. */
  get compressed(): boolean {
    return this.#deflate !== undefined;
  }

  /** Writes what others may hear as well, who have come as far; `isNewest`: nothing newer is there for it. */
  writeShared(bytes: Buffer, now: number, isNewest: boolean): void {
    if (this.#ended) return;
    this.#write(this.#deflate === undefined ? bytes : this.#deflate.compress(bytes, this, isNewest), now);
  }

  /** Writes what is for this client only. */
  write(bytes: Buffer, now: number): void {
    if (this.#ended) return;
    this.#write(this.#encode(bytes), now);
  }

  #encode(bytes: Buffer): Buffer {
    return this.#deflate === undefined ? bytes : this.#deflate.compressAlone(bytes, this);
  }

  #write(bytes: Buffer, now: number): void {
    this.lastWriteAt = now;
    this.pingDue = false;
    if (this.#wire.write(this.#response, bytes) || this.#full) return;
    // Node says so of every large write, also when the kernel has taken all of it.
    if (this.unsentBytes === 0) return;
    this.#full = true;
    this.#wire.drains(this.#response).once('drain', () => this.#onDrain());
    this.#limit(this.#stallTimeout);
  }

  ping(now: number): void {
    this.write(PING, now);
  }

  /** Says goodbye, by `text` if there is one, and ends the stream; `retry` is when the client may come back, in ms. */
  close(reason: CloseReason, { text = reason, retry }: { text?: string; retry?: number } = {}): void {
    const error = { message: `this stream ended early: ${text}` };
    this.#end(reason, LINGER_MS, encodeOwn('bye', { reason: text, ...this.asError(error) }, { retry }));
  }

  /** Ends the stream that has come to its end, with some last bytes if there are any: its client may take its time. */
  end(reason: CloseReason, last?: Buffer): void {
    this.#end(reason, this.#stallTimeout, last);
  }

  #end(reason: CloseReason, lingerMs: number, last: Buffer | undefined): void {
    if (this.#ended) return;
    this.#finish(reason);
    this.#limit(lingerMs);
    if (last === undefined) this.#response.end();
    else this.#response.end(this.#encode(last));
  }

  /** What makes clients of OpenAI's API take an event for an error: they read private streams. */
  asError(error: { readonly code?: string; readonly message: string }): { error?: typeof error } {
    return this.isPrivate ? { error } : {};
  }

  /** Resolves when the response is over and its socket free. */
  async whenClosed(): Promise<void> {
    await once(this.#response, 'close');
  }

  /** Drops the socket, whatever waits. */
  destroy(reason: CloseReason): void {
    this.#finish(reason);
    this.#response.destroy();
  }

  #onDrain(): void {
    this.#full = false;
    if (this.#ended) return;
    this.#response.setTimeout(0);
    this.#owner.onDrain(this);
    this.#feed?.onDrain();
  }

  /** Drops a client that takes nothing for so long: Node restarts this timer as long as the kernel takes bytes. */
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
