/**
 * How far a message goes: this worker's own connections, every worker of this host, or every worker of every host.
 */
export type Reach = 'process' | 'host' | 'everywhere';

/** What made the code run that publishes. */
export type Cause =
  /** An HTTP request, and what it started: one copy of the code runs, anywhere. */
  | { readonly kind: 'request' }
  /** A schedule; `type` is Egg's. */
  | { readonly kind: 'schedule'; readonly type: string }
  /** The agent: one copy per host. */
  | { readonly kind: 'agent' }
  /** A listener or a timer of boot: one copy in every worker. */
  | { readonly kind: 'worker' };

export const REACHES: readonly Reach[] = ['process', 'host', 'everywhere'];

/**
 * A message goes as far as its cause, so that every client gets one copy, whoever called.
 *
 * `undefined`: a cause nobody can know (a custom schedule type). Taking `process` for it is safe: a client may miss the
 * message of another worker, none gets it twice.
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
export const REQUEST: Cause = { kind: 'request' };
export const WORKER: Cause = { kind: 'worker' };
export const AGENT: Cause = { kind: 'agent' };
