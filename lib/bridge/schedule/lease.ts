import type { SseTarget } from '../../options/bridges';

/** Decides which of all processes runs a schedule, and which results are published. */
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

/** The lease in an agent: it decides what the leases of the workers ask. */
export interface AgentLease extends Pick<Lease, 'publish'> {
  start(): void;
  /** Left out: workers begin runs without asking, because Egg has one worker of a host run a schedule. */
  begin?: Lease['begin'];
  /** Gives back what it has. */
  stop?(): Promise<void>;
}

/** A result of `load` on its way to be published. */
export interface Offer {
  /** The name of the schedule, the same in every process. */
  readonly name: string;
  /** Of two runs, the one with the higher number began later. */
  readonly run: number;
  /** Equal for equal results. */
  readonly digest: string;
  readonly target: SseTarget;
  readonly event?: string;
  readonly data: string;
  /** The result that was published last, as far as the worker knows: a new agent may not know. */
  readonly known?: Latest | undefined;
}

/** The result of a schedule that was published last. */
export interface Latest {
  /** The newest run with this result. */
  readonly run: number;
  readonly digest: string;
}

/** Adds to the results that are known, by schedule, those of another process that are newer. */
export function learn(known: Map<string, Latest>, others: readonly (readonly [string, Latest])[]): void {
  for (const [name, latest] of others) {
    if (latest.run > (known.get(name)?.run ?? 0)) known.set(name, latest);
  }
}

/** The messages of a worker to the agent about schedules. */
export interface ToArbiter {
  /** Asks to begin a run. */
  begin: { worker: string; number: number; name: string };
  /** Asks for a result to be published. */
  offer: { worker: string; number: number; offer: Offer };
  /** Asks, in a new worker, for the results that were published last. */
  recall: { worker: string };
  /** Tells the results that were published last. */
  remember: { latest: readonly (readonly [string, Latest])[] };
}

/** The messages of the agent about schedules, to one worker or to all. */
export interface ToLeases {
  /** Answers `begin`, with the number of the run if there is one, or `offer`. */
  answer: { number: number; run?: number; error?: { code: string; message: string; status: number } };
  /** Asks, in a new agent, for the results that were published last. */
  recall: object;
  /** Tells the results that were published last. */
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
