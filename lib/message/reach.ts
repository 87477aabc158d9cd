/**
 * How far a message goes: this worker's own connections, every worker of this host, or every worker of every host.
 */
export type Reach = 'process' | 'host' | 'everywhere';

/** The cause of the code that publishes. */
export type Cause =
  /** An HTTP request, or code that it started: one copy of the code runs, in whichever worker. */
  | { readonly kind: 'request' }
  /** A schedule; `type` is Egg's. */
  | { readonly kind: 'schedule'; readonly type: string }
  /** The agent: one copy per host. */
  | { readonly kind: 'agent' }
  /** A listener or a timer of boot: one copy in every worker. */
  | { readonly kind: 'worker' };

export const REQUEST: Cause = { kind: 'request' };
export const WORKER: Cause = { kind: 'worker' };
export const AGENT: Cause = { kind: 'agent' };

export const REACHES: readonly Reach[] = ['process', 'host', 'everywhere'];

/**
 * The reach of a message by its cause: so far that every client gets one copy, however many processes run the code.
 *
 * `undefined`: the number of processes is unknown (a custom schedule type). `process` is safe then: a client may miss the
 * message of another worker, but none gets it twice.
 */
export function reachOf(cause: Cause): Reach | undefined {
  return cause.kind === 'schedule' ? REACH_OF_SCHEDULE.get(cause.type) : REACH_OF[cause.kind];
}

const REACH_OF: Record<Exclude<Cause['kind'], 'schedule'>, Reach> = {
  request: 'everywhere',
  agent: 'host',
  worker: 'process',
};

const REACH_OF_SCHEDULE = new Map<string, Reach>([
  ['worker', 'host'],
  ['all', 'process'],
]);
