import type { Admission } from '../access/authorizer';
import type { Feed } from '../connection/connection';
import { ALL } from '../message/keys';

/** Who wants to join, and from where. */
export interface Joining extends Partial<Omit<Admission, 'keys'>> {
  readonly keys: readonly string[];
  /** The keys that were asked for, when others were granted. */
  readonly asked?: readonly string[];
  readonly lastEventId?: string | undefined;
  /** Whether each message is to say for which keys it is. Left out: no. */
  readonly showsKeys?: boolean;
  /** Keys of which it gets what comes from now on, wherever it was. */
  readonly newKeys?: readonly string[];
  /** Whether what it is sent is compressed; its head says so. Left out: no. */
  readonly compressed?: boolean;
  /** Whether it is to have nothing of the log but `run`: it is counted, and ended as others are. */
  readonly isPrivate?: boolean;
  /** The key of a run that it ends with. */
  readonly run?: string | undefined;
  /** Whether its client may have heard more than this process has. */
  readonly isBehind?: boolean;
  /** ms after which it may come back; left out: as configured. */
  readonly retry?: number | undefined;
  /** What writes to it besides the log. */
  readonly feed?: Feed;
}

/** All keys that it holds: those that it was granted, and the plugin's own. */
export function heldBy({ keys, ownKeys = [] }: Joining): string[] {
  return [ALL, ...ownKeys, ...keys];
}
