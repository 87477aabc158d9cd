import type { Admission } from '../access/authorizer';
import type { Connection, Feed } from '../connection/connection';
import type { SseResponse } from '../connection/wire';
import { ALL } from '../message/keys';
import type { EncodedEvent } from '../message/frame';
import type { LastEventId } from '../order/cursor';

/** A client that wants to join. */
export interface JoinRequest extends Partial<Omit<Admission, 'keys'>> {
  readonly keys: readonly string[];
  /** The keys that it asked for, when others were granted. */
  readonly asked?: readonly string[];
  readonly lastEventId?: LastEventId | undefined;
  /** Whether each message is to say for which of its keys it is. Left out: no. */
  readonly showsKeys?: boolean;
  /** Keys that it reads from now on, not from its last event id. */
  readonly newKeys?: readonly string[];
  /** Whether it reads nothing of the log but `run`. It is counted, and ended, as others are. */
  readonly isPrivate?: boolean;
  /** The key of a run: its stream ends with the run. */
  readonly run?: string | undefined;
  /** ms after which it may come back. Left out: `config.sse.retry`. */
  readonly retry?: number | undefined;
  /** Writes to it besides the log. */
  readonly feed?: Feed;
}

/** The answer to a client that may join. */
export interface Answer {
  readonly response: SseResponse;
  /** Whether the client wants no more than the head. */
  readonly isHead: boolean;
  /** Whether the client accepts gzip. */
  readonly acceptsGzip: boolean;
  /** Writes the head of the stream, in the turn in which it joins. */
  writeHead(compressed: boolean): void;
}

/** A stream that has joined. Only its head is out: it is not greeted yet. */
export interface Joined {
  readonly connection: Connection;
  /** Whether its client came back to a known place, and no message since then is lost. */
  readonly resumed: boolean;
  /** Writes the first frames: hello, gaps, then `first`. The messages that it missed, and live ones, follow. */
  greet(first?: EncodedEvent): void;
}

/** Why a client has not joined, though not refused: it has `left`, wanted only the `head`, or has `all` of its run. */
export type NotJoined = 'left' | 'head' | 'all';

/** All keys that a client holds: those that it was granted, and the plugin's own. */
export function heldBy({ keys, ownKeys = [] }: JoinRequest): string[] {
  return [ALL, ...ownKeys, ...keys];
}
