import { createHash, randomBytes } from 'node:crypto';
import { relative } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { EncodedEvent } from '../../message/frame';
import { encode } from '../../message/message';
import type { SseLogger } from '../../base/logger';
import { ALL } from '../../message/keys';
import { BEGIN, JUDGE, RELEASE, RENEW } from './scripts';
import type { AgentLease, Offer } from './lease';

/** The part of the broker of all hosts that the lease uses. */
export interface FencingBroker {
  /** Runs a script in one step, with keys of these names; rejects while Redis is away. */
  run(script: string, names: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
  /** Gives a message its place in the order, unless a newer run than its fence's came to an end, or an equal result. */
  publish(message: FencedMessage, reach: 'everywhere'): Promise<unknown>;
}

/** A result, and the run that it is of. */
interface FencedMessage extends EncodedEvent {
  readonly keys: readonly string[];
  readonly fence: { readonly name: string; readonly run: number; readonly digest: string };
}

/** Times of the lease, in ms. */
export interface RedisLeaseTimes {
  /** How long a schedule stays leased to a host that does not renew it. */
  readonly kept: number;
  /** How long after a renewal comes the next. */
  readonly renew: number;
  /** How long a host that stops waits for Redis. */
  readonly stop: number;
}

const TIMES: RedisLeaseTimes = { kept: 6_000, renew: 2_000, stop: 1_000 };

/** A schedule that is leased to this host. Times are those of the monotonic clock. */
interface Leased {
  /** When its last run began. */
  readonly at: number;
  /** How long after the run before that. */
  readonly gap: number;
}

/**
 * A host's lease of the schedules of all hosts that share a Redis, in its agent: one host runs a schedule, for as long as
 * it lives and its schedule ticks; then another one does.
 *
 * So a run on two hosts is rare, as when a host was frozen for a while. Redis stops its result then: in the step that
 * orders results, it drops one that is older than another, or equal to the one before. While Redis is away nothing runs.
 */
export class RedisLease implements AgentLease {
  readonly #broker: FencingBroker;
  readonly #baseDir: string;
  readonly #logger: Pick<SseLogger, 'info' | 'warn'>;
  readonly #times: RedisLeaseTimes;
  // Names this life of the agent. It is random: two hosts may have the same name.
  readonly #token = randomBytes(12).toString('hex');
  readonly #leased = new Map<string, Leased>();
  readonly #waiting = new Set<string>();
  readonly #stopping = new AbortController();
  #renewing: Promise<void> | undefined;
  #isAway = false;

  constructor(
    broker: FencingBroker,
    options: { baseDir: string; logger: Pick<SseLogger, 'info' | 'warn'>; times?: Partial<RedisLeaseTimes> },
  ) {
    this.#broker = broker;
    this.#baseDir = options.baseDir;
    this.#logger = options.logger;
    this.#times = { ...TIMES, ...options.times };
  }

  /** Renews from now on what is leased to this host. */
  start(): void {
    this.#renewing = this.#renew();
  }

  async begin(name: string): Promise<number | undefined> {
    const schedule = this.#nameOf(name);
    const first = await this.#tryToLease(schedule);
    if (first?.run !== undefined) return first.run;
    // The other host may just have died. A second look, when its lease has lapsed, keeps this run from being missed.
    if (first === undefined || this.#waiting.has(schedule)) return undefined;
    this.#waiting.add(schedule);
    try {
      await pause(first.left, undefined, { signal: this.#stopping.signal, ref: false });
      // A later run has begun here meanwhile.
      if (this.#leased.has(schedule)) return undefined;
      return (await this.#tryToLease(schedule))?.run;
    } catch {
      // `stop` was called.
      return undefined;
    } finally {
      this.#waiting.delete(schedule);
    }
  }

  async publish({ name, run, target, event, data }: Offer): Promise<void> {
    const schedule = this.#nameOf(name);
    const keys = target.all === true ? [ALL] : [target.key!].flat();
    const draft = { ...encode({ event, data }), keys: [...new Set(keys)] };
    const digest = createHash('sha256')
      .update(JSON.stringify([draft.keys, draft.body]))
      .digest('base64');
    // A result that is no news gets no place in the order. While Redis is away that is unknown: then the result waits like
    // any other message, and its fence decides.
    const isNews = await this.#broker.run(JUDGE, ['fences'], [schedule, run, digest]).catch(() => 1);
    if (isNews === 1) await this.#broker.publish({ ...draft, fence: { name: schedule, run, digest } }, 'everywhere');
  }

  /** Gives back what is leased to this host. Safe to call twice. */
  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    await this.#renewing;
    const names = [...this.#leased.keys()].map(leaseOf);
    this.#leased.clear();
    if (names.length === 0) return;
    // If Redis does not answer, another host gets them when they have lapsed.
    const released = this.#broker.run(RELEASE, names, [this.#token]).catch(() => undefined);
    await Promise.race([released, pause(this.#times.stop, undefined, { ref: false })]);
  }

  /** Leases a schedule, or keeps it, and begins a run; or says after how many ms the lease of another host lapses. */
  async #tryToLease(
    schedule: string,
  ): Promise<{ run: number; left?: never } | { run?: never; left: number } | undefined> {
    if (this.#stopping.signal.aborted) return undefined;
    let answer: [string | null, number];
    try {
      answer = (await this.#broker.run(
        BEGIN,
        [leaseOf(schedule), 'runs'],
        [schedule, this.#token, this.#times.kept],
      )) as typeof answer;
    } catch (error) {
      if (!this.#isAway) {
        this.#logger.warn(`what sseSchedule made does not run until Redis is back: ${(error as Error).message}`);
      }
      this.#isAway = true;
      return undefined;
    }
    if (this.#isAway) this.#logger.info('what sseSchedule made runs again');
    this.#isAway = false;
    const [run, left] = answer;
    if (run === null) {
      this.#leased.delete(schedule);
      return { left };
    }
    const at = performance.now();
    const last = this.#leased.get(schedule);
    this.#leased.set(schedule, { at, gap: last === undefined ? Number.POSITIVE_INFINITY : at - last.at });
    return { run: Number(run) };
  }

  async #renew(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await pause(this.#times.renew, undefined, { signal, ref: false }).catch(() => undefined);
      for (const [schedule, { at, gap }] of this.#leased) {
        // The agent lives, but its workers run nothing any more: another host is to run the schedule.
        if (performance.now() - at > 2 * gap + this.#times.kept) this.#leased.delete(schedule);
      }
      const schedules = [...this.#leased.keys()];
      if (schedules.length === 0 || signal.aborted) continue;
      try {
        const args = [this.#token, this.#times.kept];
        const kept = (await this.#broker.run(RENEW, schedules.map(leaseOf), args)) as number[];
        for (const [i, schedule] of schedules.entries()) if (kept[i] === 0) this.#leased.delete(schedule);
      } catch {
        // While Redis is away no other host can lease them. They lapse, unless it is back before.
      }
    }
  }

  /** The name of a schedule on all hosts, which may have the app in different folders. */
  #nameOf(path: string): string {
    return relative(this.#baseDir, path).replaceAll('\\', '/');
  }
}

function leaseOf(schedule: string): string {
  return `lease:${schedule}`;
}
