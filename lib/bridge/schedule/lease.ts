import type { SseTarget } from '../../options/bridges';

/** A result of `load` on its way to be published. */
export interface Offer {
  /** Which schedule, the same in every process. */
  readonly name: string;
  /** Of two runs, the one with the higher number began later. */
  readonly run: number;
  /** The same for equal results. */
  readonly digest: string;
  readonly target: SseTarget;
  readonly event?: string;
  readonly data: string;
}

/** Decides, among all processes that a schedule may run in, which run there is, and which result is published. */
export interface Lease {
  /** Begins a run, and gives it its number; `undefined`: it is another one's to run now. */
  begin(name: string): Promise<number | undefined>;
  /**
   * Publishes a result, unless it is the one that was published last, or a run that began later has published.
   *
   * Rejects with an `SseError` when it is not known whether it did.
   */
  publish(offer: Offer): Promise<void>;
}

// Under a name that a second copy of this package would find as well.
const LEASE = Symbol.for('egg-sse.lease');

/** Gives the schedules of an app their lease. */
export function setLease(app: object, lease: Lease): void {
  Object.defineProperty(app, LEASE, { value: lease, configurable: true });
}

/** The lease of the schedules of an app; undefined without the plugin. */
export function getLease(app: object): Lease | undefined {
  return (app as { [LEASE]?: Lease })[LEASE];
}

/** What a worker says to the agent of schedules. */
export interface ToArbiter {
  /** It wants to run a schedule. */
  begin: { worker: string; number: number; name: string };
  /** It wants a result published. `known` is what it knows of the schedule: more than a new agent does. */
  offer: { worker: string; number: number; offer: Offer; known: Latest | undefined };
  /** It is new, and wants to know what was published last. */
  recall: { worker: string };
  /** What it knows. */
  remember: { latest: readonly (readonly [string, Latest])[] };
}

/** What the agent says of schedules to one worker or to all. */
export interface ToLeases {
  /** What came of an offer; or the number of the run it may begin, if it may. */
  settled: { number: number; run?: number; error?: { code: string; message: string; status: number } };
  /** It is new, and wants to know what was published last. */
  recall: object;
  /** What was published last. */
  remember: { latest: readonly (readonly [string, Latest])[] };
}

/** What was published last of a schedule. */
export interface Latest {
  /** The newest run whose result was published, or was the same as what had been. */
  readonly run: number;
  readonly digest: string;
}
