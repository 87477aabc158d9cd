import { SseError, show } from '../base/error';
import { type Reach, REACHES } from './reach';

/** Options of `publish`. */
export interface PublishOptions {
  /** How far it goes. Left out: as far as its cause (docs/publishing.md, "Who gets it"). */
  reach?: Reach;
  /** Whether the receipt says how many connections took the message, within 2 s of its place in the order. Left out: no. */
  confirm?: boolean;
}

/** The result of `publish`. */
export interface Receipt {
  /**
   * The id that clients get with the message. Empty for a message of reach `process` without an id of its own, where
   * there are several workers: it has no place in the order, and no client can resume from it.
   */
  readonly id: string;
  /** How far the message goes. */
  readonly reach: Reach;
}

/** The result of `publish` with `confirm`. */
export interface ConfirmedReceipt extends Receipt {
  /** Connections within its reach that took the message: it was written to their sockets. */
  readonly clients: number;
  /** Whether every process in reach answered in time; the connections of the others are not counted. */
  readonly complete: boolean;
}

/** The result of `total`. */
export interface Total {
  readonly clients: number;
  /** Whether every process in reach answered in time; the connections of the others are not counted. */
  readonly complete: boolean;
}

/** Throws `SseError` `ERR_SSE_REACH` for a value that is no reach. */
export function checkReach(reach: unknown): void {
  if (!REACHES.includes(reach as Reach)) {
    throw new SseError('ERR_SSE_REACH', `reach is ${show(reach)}; it must be one of ${REACHES.join(', ')}`);
  }
}

/** Throws `SseError` `ERR_SSE_OPTIONS` for a value that cannot be `PublishOptions`. */
export function checkOptions(options: unknown): void {
  const isObject = typeof options === 'object' && options !== null;
  const unknown = isObject ? Object.keys(options).find((name) => name !== 'reach' && name !== 'confirm') : undefined;
  if (isObject && unknown === undefined) {
    const { confirm } = options as PublishOptions;
    if (confirm === undefined || typeof confirm === 'boolean') return;
    throw new SseError('ERR_SSE_OPTIONS', `confirm is ${show(confirm)}; it must be true or false`);
  }
  throw new SseError(
    'ERR_SSE_OPTIONS',
    `options ${unknown === undefined ? `are ${show(options)}` : `have ${show(unknown)}`}; they may be { reach: 'process' | 'host' | 'everywhere', confirm: boolean }`,
  );
}

/** Checks a reason that clients are told. Throws `SseError` `ERR_SSE_OPTIONS`. */
export function checkReason(reason: unknown): string {
  if (typeof reason === 'string' && reason !== '') return reason;
  throw new SseError('ERR_SSE_OPTIONS', `reason is ${show(reason)}; it must be a non-empty string`);
}
