import type { Admission } from '../access/authorizer';
import type { Connection, Feed } from '../connection/connection';
import type { SseResponse } from '../connection/wire';
import { ALL } from '../message/keys';
import type { EncodedEvent } from '../message/frame';
import type { LastEventId } from '../order/cursor';

/** A client that wants to join, and from where. */
export interface Joining extends Partial<Omit<Admission, 'keys'>> {
  readonly keys: readonly string[];
  /** The keys that were asked for, when others were granted. */
  readonly asked?: readonly string[];
  readonly lastEventId?: LastEventId | undefined;
  /** Whether each message is to say for which keys it is. Left out: no. */
  readonly showsKeys?: boolean;
  /** Keys of which it gets what comes from now on, wherever it was. */
  readonly newKeys?: readonly string[];
  /** Whether it is to have nothing of the log but `run`: it is counted, and ended as others are. */
  readonly isPrivate?: boolean;
  /** The key of a run that it ends with. */
  readonly run?: string | undefined;
  /** ms after which it may come back; left out: as configured. */
  readonly retry?: number | undefined;
  /** What writes to it besides the log. */
  readonly feed?: Feed;
}

/** How a client is answered that may join. */
export interface Answer {
  readonly response: SseResponse;
  /** Whether its client wants no more than the head. */
  readonly isHead: boolean;
  /** Whether its client takes gzip. */
  readonly takesGzip: boolean;
  /** Writes the head of its stream, in the turn in which it joins. */
  writeHead(compressed: boolean): void;
}

/** A stream that has its place in the order, and of which nothing is out but the head. */
export interface Joined {
  readonly connection: Connection;
  /** Whether its client has said where it was, and nothing of what came since is lost. */
  readonly resumed: boolean;
  /** Writes what comes first: hello, gaps, then `first`. What it missed and what is live comes after that. */
  greet(first?: EncodedEvent): void;
}

/** Why a client that was not refused has not joined: it has left, wanted only the `head`, or has had `all` of its run. */
export type NotJoined = 'left' | 'head' | 'all';

/** All keys that it holds: those that it was granted, and the plugin's own. */
export function heldBy({ keys, ownKeys = [] }: Joining): string[] {
  return [ALL, ...ownKeys, ...keys];
}
