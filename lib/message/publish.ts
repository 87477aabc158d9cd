import { SseError, show } from '../base/error';
import { type Reach, REACHES } from './reach';

/** How a message is published. */
export interface PublishOptions {
  /** How far it goes. Left out: as far as its cause (docs/publishing.md, "Who gets it"). */
  reach?: Reach;
  /** Whether the receipt says how many connections took it; 2 s at most, after it has its place. Left out: no. */
  confirm?: boolean;
}

/** What `publish` promises. */
export interface Receipt {
  /**
   * The id that clients get with the message. Empty: of reach `process` where there are several workers, without an id
   * of its own; it has no place in the order, and nobody can resume from it.
   */
  readonly id: string;
  /** How far it goes. */
  readonly reach: Reach;
}

/** What `publish` with `confirm` promises. */
export interface ConfirmedReceipt extends Receipt {
  /** Connections that took it, over its reach: it was written to their sockets. */
  readonly clients: number;
  /** Whether every process in reach answered in time; what others took is not counted. */
  readonly complete: boolean;
}

/** How many connections there are. */
export interface Total {
  readonly clients: number;
  /** Whether everyone who was asked answered in time. */
  readonly complete: boolean;
}

/** Throws `SseError` `ERR_SSE_REACH` for what is no reach. */
export function checkReach(reach: unknown): void {
  if (!REACHES.includes(reach as Reach)) {
    throw new SseError('ERR_SSE_REACH', `reach is ${show(reach)}; it must be one of ${REACHES.join(', ')}`);
  }
}

/** Throws `SseError` `ERR_SSE_OPTIONS` for what are no options of a publish. */
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

/** The reason that clients are told. Throws `SseError` `ERR_SSE_OPTIONS`. */
export function checkReason(reason: unknown): string {
  if (typeof reason === 'string' && reason !== '') return reason;
  throw new SseError('ERR_SSE_OPTIONS', `reason is ${show(reason)}; it must be a non-empty string`);
}
