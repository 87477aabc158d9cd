import type { SseTarget } from '../../options/bridges';

/** Decides, among all processes that a schedule may run in, which run there is, and which result is published. */
export interface Lease {
  /** Begins a run, and gives it its number; `undefined`: another process is to run the schedule now. */
  begin(name: string): Promise<number | undefined>;
  /**
   * Publishes a result, unless it is the one that was published last, or a run that began later has published.
   *
   * Rejects with an `SseError` when it is not known whether it did.
   */
  publish(offer: Offer): Promise<void>;
}

/** The agent's end of a lease: what the leases of its workers ask, it decides. */
export interface AgentLease extends Pick<Lease, 'publish'> {
  start(): void;
  /** Left out: workers begin runs without being asked to, as Egg runs a schedule in one worker of a host. */
  begin?: Lease['begin'];
  /** Gives back what it has. */
  stop?(): Promise<void>;
}

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
  /** What the worker that offers it knows to have been published last: a new agent may not know. */
  readonly known?: Latest | undefined;
}

/** What was published last of a schedule. */
export interface Latest {
  /** The newest run whose result was published, or was the same as what had been. */
  readonly run: number;
  readonly digest: string;
}

/** Adds to what is known of schedules what others know, where that is newer. */
export function learn(known: Map<string, Latest>, others: readonly (readonly [string, Latest])[]): void {
  for (const [name, latest] of others) {
    if (latest.run > (known.get(name)?.run ?? 0)) known.set(name, latest);
  }
}

/** What a worker says to the agent of schedules. */
export interface ToArbiter {
  /** It wants to run a schedule. */
  begin: { worker: string; number: number; name: string };
  /** It wants a result published. */
  offer: { worker: string; number: number; offer: Offer };
  /** It is new, and wants to know what was published last. */
  recall: { worker: string };
  /** What it knows. */
  remember: { latest: readonly (readonly [string, Latest])[] };
}

/** What the agent says of schedules to one worker or to all. */
export interface ToLeases {
  /** What came of an offer; or the number of the run it may begin, if it may. */
  answer: { number: number; run?: number; error?: { code: string; message: string; status: number } };
  /** It is new, and wants to know what was published last. */
  recall: object;
  /** What was published last. */
  remember: { latest: readonly (readonly [string, Latest])[] };
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
