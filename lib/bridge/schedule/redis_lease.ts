import { createHash, randomBytes } from 'node:crypto';
import { relative } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { encode, type EncodedEvent } from '../../message/message';
import type { SseLogger } from '../../base/logger';
import { ALL } from '../../message/keys';
import { BEGIN, JUDGE, RELEASE, RENEW } from './scripts';
import type { AgentLease, Offer } from './lease';

/** What the lease asks of Redis: the broker of all hosts can do it. */
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

/** How long things may take, in ms. */
export interface RedisLeaseTimes {
  /** A host that says nothing for so long has lost its schedules to another one. */
  readonly kept: number;
  /** A host says so often that it lives. */
  readonly renew: number;
  /** A host that stops waits this long for Redis to let go of its schedules. */
  readonly stop: number;
}

const TIMES: RedisLeaseTimes = { kept: 6_000, renew: 2_000, stop: 1_000 };

/** A schedule that this host runs, on the monotonic clock. */
interface Held {
  /** When it began its last run. */
  readonly at: number;
  /** How long after the one before that. */
  readonly gap: number;
}

/**
 * A host's lease of the schedules of all hosts that share a Redis, in its agent: one host runs a schedule, for as long as
 * it lives and its schedule ticks; then another one does.
 *
 * That makes a run on two hosts rare, as when a host was stopped for a while. It is Redis, in the step that orders a
 * result, that stops one which is older than another, or equal to the one before. While Redis is away nothing runs.
 */
export class RedisLease implements AgentLease {
  readonly #broker: FencingBroker;
  readonly #baseDir: string;
  readonly #logger: Pick<SseLogger, 'info' | 'warn'>;
  readonly #times: RedisLeaseTimes;
  // Of this life of the agent: nobody else has it, whatever hosts are named.
  readonly #token = randomBytes(12).toString('hex');
  readonly #held = new Map<string, Held>();
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

  /** Says from now on that this host lives. */
  start(): void {
    this.#renewing = this.#renew();
  }

  async begin(name: string): Promise<number | undefined> {
    const schedule = this.#nameOf(name);
    const first = await this.#take(schedule);
    if (first?.run !== undefined) return first.run;
    // Its holder may have died just now: then this run is missed by nobody if it is looked at again.
    if (first === undefined || this.#waiting.has(schedule)) return undefined;
    this.#waiting.add(schedule);
    try {
      await pause(first.left, undefined, { signal: this.#stopping.signal, ref: false });
      // A later run has begun here meanwhile.
      if (this.#held.has(schedule)) return undefined;
      return (await this.#take(schedule))?.run;
    } catch {
      // Stopped.
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
    // What is no news needs no place in the order. While Redis is away it may be, and waits like any other message.
    const isNews = await this.#broker.run(JUDGE, ['fences'], [schedule, run, digest]).catch(() => 1);
    if (isNews === 1) await this.#broker.publish({ ...draft, fence: { name: schedule, run, digest } }, 'everywhere');
  }

  /** Lets go of what this host runs. Safe to call twice. */
  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    await this.#renewing;
    const names = [...this.#held.keys()].map(leaseOf);
    this.#held.clear();
    if (names.length === 0) return;
    // Whoever takes them over waits until they lapse, then.
    const released = this.#broker.run(RELEASE, names, [this.#token]).catch(() => undefined);
    await Promise.race([released, pause(this.#times.stop, undefined, { ref: false })]);
  }

  /** Takes or keeps a schedule, and begins a run; or says how many ms are `left` to another one that has it. */
  async #take(schedule: string): Promise<{ run: number; left?: never } | { run?: never; left: number } | undefined> {
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
      this.#held.delete(schedule);
      return { left };
    }
    const at = performance.now();
    const last = this.#held.get(schedule);
    this.#held.set(schedule, { at, gap: last === undefined ? Number.POSITIVE_INFINITY : at - last.at });
    return { run: Number(run) };
  }

  async #renew(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await pause(this.#times.renew, undefined, { signal, ref: false }).catch(() => undefined);
      for (const [schedule, { at, gap }] of this.#held) {
        // The agent lives, but its workers do not: another host runs it.
        if (performance.now() - at > 2 * gap + this.#times.kept) this.#held.delete(schedule);
      }
      const schedules = [...this.#held.keys()];
      if (schedules.length === 0 || signal.aborted) continue;
      try {
        const args = [this.#token, this.#times.kept];
        const kept = (await this.#broker.run(RENEW, schedules.map(leaseOf), args)) as number[];
        for (const [i, schedule] of schedules.entries()) if (kept[i] === 0) this.#held.delete(schedule);
      } catch {
        // Redis is away: nobody else can take them. They lapse, unless it is back before.
      }
    }
  }

  /** Hosts may have the app in other folders. */
  #nameOf(path: string): string {
    return relative(this.#baseDir, path).replaceAll('\\', '/');
  }
}

function leaseOf(schedule: string): string {
  return `lease:${schedule}`;
}
