import { encodeOwn, isFieldSafe, toFrame, type EncodedEvent } from '../message/frame';
import { toFrames, type Gap } from '../log/gaps';

/** What a stream that belongs to one request begins with. */
export function toOpening(retry: number | undefined, gaps: readonly Gap[], first: EncodedEvent | undefined): Buffer[] {
  return [
    ...(retry === undefined ? [] : [toFrame(`retry: ${retry}\n`)]),
    ...toFrames(gaps, undefined),
    ...(first === undefined ? [] : [toFrame(first.body, first.id)]),
  ];
}

/** What a stream of some keys begins with: hello, the gaps, and what its controller wants to go out first. */
export function toWelcome(
  { keys, user, groups = [] }: Grantee,
  place: { readonly cursor: string | undefined; readonly isPlaced: boolean; readonly lastEventId: string | undefined },
  what: {
    readonly gaps: readonly Gap[];
    readonly first: EncodedEvent | undefined;
    readonly retry: number;
    readonly pingInterval: number;
  },
): Buffer[] {
  const { cursor, isPlaced, lastEventId } = place;
  const { gaps, first, retry, pingInterval } = what;
  // A client that drops before it has a place, or between hello and what has to follow it, must be where it was: it
  // keeps its id, or has none.
  const before = lastEventId !== undefined && isFieldSafe(lastEventId) ? lastEventId : undefined;
  const unsettled = first !== undefined || (before !== undefined && (gaps.length > 0 || !isPlaced));
  const hello = { ...toGrant(keys, user, groups), cursor: first === undefined ? cursor : undefined, pingInterval };
  return [
    encodeOwn('hello', hello, { retry, id: unsettled ? before : cursor }),
    ...toFrames(gaps, first === undefined ? cursor : undefined),
    ...(first === undefined ? [] : [toFrame(first.body, first.id ?? cursor)]),
  ];
}

/** What tells a client of what it is granted from now on. */
export function toRegrant({ keys, user, groups = [] }: Grantee): Buffer {
  return encodeOwn('grant', toGrant(keys, user, groups), {});
}

interface Grantee {
  readonly keys: readonly string[];
  readonly user: string | undefined;
  readonly groups?: readonly string[] | undefined;
}

function toGrant(keys: readonly string[], user: string | undefined, groups: readonly string[]): object {
  return { keys, user, groups: groups.length > 0 ? groups : undefined };
}
