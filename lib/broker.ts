import type { Position } from './cursor';
import type { Reach } from './reach';

/** A message on its way into the order. Plain JSON: it crosses processes. */
export interface Draft {
  /** The keys it is for; a connection that holds any of them gets it once. */
  readonly keys: readonly string[];
  /** Its encoded fields, all but the id. */
  readonly body: string;
  /** The publisher's own id. */
  readonly id?: string;
  /** Its event's name. */
  readonly event?: string;
  readonly reach: Reach;
}

/** A message as a worker delivers it. */
export interface Message extends Draft {
  /** Its place in the order. None: of reach `process`, live only. */
  readonly position?: Position;
}

/** Carries messages to every process in its range, in one order. */
export interface Broker {
  /** Calls `deliver` for each message: first the backlog still held, then live. Resolves when live, with the newest place. */
  start(deliver: (message: Message) => void): Promise<Position>;
  /** Orders the draft and hands it on. Resolves with its place once ordered, not once clients have it. */
  publish(draft: Draft): Promise<Position>;
  /** Stops delivering and frees connections. Safe to call twice. */
  stop(): Promise<void>;
}
