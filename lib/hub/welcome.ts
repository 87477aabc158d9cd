import { toFrames, type Gap } from '../log/gaps';
import { encodeOwn, isFieldSafe, toFrame, type EncodedEvent } from '../message/frame';

/** The client of a stream, and its grant. */
interface Grantee {
  readonly keys: readonly string[];
  readonly user: string | undefined;
  readonly groups?: readonly string[] | undefined;
}

/** The first frames of a private stream: the gaps of its run, and its controller's first message. */
export function toPrivateWelcome(
  retry: number | undefined,
  gaps: readonly Gap[],
  first: EncodedEvent | undefined,
): Buffer[] {
  return [
    ...(retry === undefined ? [] : [toFrame(`retry: ${retry}\n`)]),
    ...toFrames(gaps, undefined),
    ...(first === undefined ? [] : [toFrame(first.body, first.id)]),
  ];
}

/** The first frames of a stream with keys: hello, the gaps, and its controller's first message. */
export function toWelcome(
  { keys, user, groups = [] }: Grantee,
  place: { readonly cursor: string | undefined; readonly isPlaced: boolean; readonly lastEventId: string | undefined },
  rest: {
    readonly gaps: readonly Gap[];
    readonly first: EncodedEvent | undefined;
    readonly retry: number;
    readonly pingInterval: number;
  },
): Buffer[] {
  const { cursor, isPlaced, lastEventId } = place;
  const { gaps, first, retry, pingInterval } = rest;
  // A client that drops before it is placed, or after hello but before the frames that must follow, must come back with
  // the id it came with, or none: with the new one it would not be told of its gaps, nor get the first message.
  const before = lastEventId !== undefined && isFieldSafe(lastEventId) ? lastEventId : undefined;
  const isIncomplete = first !== undefined || (before !== undefined && (gaps.length > 0 || !isPlaced));
  const hello = { ...toGrant(keys, user, groups), cursor: first === undefined ? cursor : undefined, pingInterval };
  return [
    encodeOwn('hello', hello, { retry, id: isIncomplete ? before : cursor }),
    ...toFrames(gaps, first === undefined ? cursor : undefined),
    ...(first === undefined ? [] : [toFrame(first.body, first.id ?? cursor)]),
  ];
}

/** The frame that tells a client of its new grant. */
export function toRegrant({ keys, user, groups = [] }: Grantee): Buffer {
  return encodeOwn('grant', toGrant(keys, user, groups), {});
}

function toGrant(keys: readonly string[], user: string | undefined, groups: readonly string[]): object {
  return { keys, user, groups: groups.length > 0 ? groups : undefined };
}
