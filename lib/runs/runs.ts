import { AsyncResource } from 'node:async_hooks';
import { SseError, show, toTold } from '../base/error';
import type { SseLogger } from '../base/logger';
import { within } from '../base/promises';
import type { Log } from '../log/log';
import { idOf, run as keyOf } from '../message/keys';
import { ownEvent, type EncodedEvent } from '../message/frame';
import type { Broker } from '../order/broker';
import { checkProducer, Production, type SseProducer } from './production';
import { RunWatch } from './watch';

/** The result of `run`. */
export interface RunReceipt {
  /** The run's id. */
  readonly id: string;
  /** Its key, for `connectKey`. */
  readonly key: string;
}

/** Starts work apart from the context of its caller, so that it goes on when the caller's request is over. */
export type Detach = (work: () => Promise<void>) => void;

// A process that goes has this much of Egg's 5 s to say that its runs end.
const STOP_MS = 1_000;

/** Runs: starts them in this process, and ends them wherever they are produced. */
export class Runs {
  readonly #log: Log;
  readonly #watched: () => Iterable<string>;
  readonly #broker: Pick<Broker, 'publish' | 'ask' | 'catchUp'>;
  readonly #logger: SseLogger;
  readonly #isOn: boolean;
  readonly #detach: Detach;
  readonly #watch: RunWatch;
  /** The runs that are produced here, by key. */
  readonly #productions = new Map<string, Production>();
  #stopped = false;

  constructor(parts: {
    log: Log;
    /** The keys of the runs that are read here. */
    watched: () => Iterable<string>;
    broker: Pick<Broker, 'publish' | 'ask' | 'catchUp'>;
    logger: SseLogger;
    /** Whether this process may have runs. */
    isOn: boolean;
    /** Left out: in a context of its own. */
    detach?: Detach | undefined;
  }) {
    this.#log = parts.log;
    this.#watched = parts.watched;
    this.#broker = parts.broker;
    this.#logger = parts.logger;
    this.#isOn = parts.isOn;
    const context = new AsyncResource('egg-sse.runs');
    this.#detach = parts.detach ?? ((work) => void context.runInAsyncScope(work));
    this.#watch = new RunWatch({
      silentRuns: (ms) => this.#silentRuns(ms),
      ask: (runs) => this.#broker.ask({ runs }, 'everywhere'),
      onLost: (key) => this.#endLost(key, 'the worker that produced this run is gone'),
    });
  }

  /** Starts a run; resolves when it has its place in the order. */
  async start(id: string | number, produce: SseProducer): Promise<RunReceipt> {
    const key = this.#keyOf(id);
    checkProducer(produce);
    const log = this.#log;
    if (this.#stopped) throw new SseError('ERR_SSE_STOPPED', 'this worker is going', { status: 503 });
    if (this.#productions.has(key) || log.runOf(key) !== undefined) throw exists(id);
    const production = new Production(key, (draft) => this.#broker.publish(draft, 'everywhere'));
    // From now on this process answers that it produces the run: others may ask as soon as they see its start.
    this.#productions.set(key, production);
    try {
      const place = await production.publish({ is: 'start', since: log.cursor });
      const start = log.runOf(key)?.start;
      // Of several starts at once, the first in the order counts.
      if (start === undefined || !log.isAt(start, place)) throw exists(id);
    } catch (error) {
      this.#productions.delete(key);
      throw error;
    }
    this.#detach(() => this.#produce(production, produce));
    return { id: idOf(key), key };
  }

  /** Ends a run, wherever it is produced; says whether it was going on. */
  async end(id: string | number): Promise<boolean> {
    const key = this.#keyOf(id);
    if (!this.#isGoing(key)) await this.#broker.catchUp();
    return this.#isGoing(key) && this.#end(key, ownEvent('end', { run: idOf(key), reason: 'stopped' }));
  }

  /** Ends the runs that are produced here: the process is going. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#watch.stop();
    const ends = [...this.#productions.keys()].map((key) =>
      this.#endLost(key, 'the worker that produced this run is going'),
    );
    // Readers that are not told in time are told by another worker, which finds the run lost.
    await within<unknown>(STOP_MS, Promise.all(ends), () => undefined);
  }

  /** The runs among some that this process produces. */
  producedOf(keys: readonly string[]): string[] {
    return keys.filter((key) => this.#productions.has(key));
  }

  /** Hears that a run is over. */
  onEnd(key: string): void {
    this.#productions.get(key)?.abort();
  }

  /** Looks whether the runs that are read here are alive; `soon`: a reader has just come. */
  watch(soon: boolean): void {
    this.#watch.look(soon);
  }

  /** The unfinished runs that are read here and produced elsewhere, and of which no message came for so many ms. */
  #silentRuns(ms: number): string[] {
    const now = performance.now();
    return [...this.#watched()].filter((key) => {
      const newest = this.#log.runOf(key)?.newest;
      const isGoing = newest !== undefined && newest.run!.is !== 'end';
      return isGoing && now - newest.appendedAt >= ms && !this.#productions.has(key);
    });
  }

  async #produce(production: Production, produce: SseProducer): Promise<void> {
    const { key } = production;
    let end = ownEvent('end', { run: idOf(key) });
    try {
      await production.follow(produce);
    } catch (error) {
      this.#logger.error(new Error(`the run ${show(idOf(key))} failed`, { cause: error }));
      end = failed(key, error);
    }
    try {
      await this.#end(key, end);
    } catch (error) {
      // Its readers are told that it is lost, when there is an order again.
      this.#logger.error(new Error(`the end of the run ${show(idOf(key))} was not published`, { cause: error }));
    }
    this.#productions.delete(key);
  }

  /** Ends a run, unless it has ended; says whether this was its end. Of several ends the first in the order counts. */
  async #end(key: string, end: EncodedEvent): Promise<boolean> {
    const log = this.#log;
    // A run that was silent for its whole lifetime is not in the log any more, though it goes on: it can be ended.
    if (log.runOf(key) !== undefined && !this.#isGoing(key)) return false;
    const place = await this.#broker.publish({ keys: [key], ...end, run: { is: 'end' } }, 'everywhere');
    const newest = log.runOf(key)?.newest;
    return newest !== undefined && log.isAt(newest, place);
  }

  async #endLost(key: string, message: string): Promise<void> {
    // Readers that cannot be told now are told later: the run is still watched.
    await this.#end(key, failed(key, new SseError('ERR_SSE_RUN_LOST', message))).catch(() => undefined);
  }

  #isGoing(key: string): boolean {
    const state = this.#log.runOf(key);
    return state !== undefined && state.newest.run!.is !== 'end';
  }

  #keyOf(id: string | number): string {
    if (this.#isOn) return keyOf(id);
    throw new SseError(
      'ERR_SSE_RUNS_OFF',
      'there are no runs here: config.sse.runs is false, or this is the agent; let a worker run it',
    );
  }
}

/** The event that tells readers of a run that it failed. Clients of OpenAI's API know an error by the field `error`. */
function failed(key: string, cause: unknown): EncodedEvent {
  const error = toTold(cause);
  return ownEvent('error', { run: idOf(key), ...error, error });
}

function exists(id: string | number): SseError {
  return new SseError(
    'ERR_SSE_RUN_EXISTS',
    `there is a run ${show(id)}, going on or still readable; open it, or choose another id for a new one`,
    { status: 409 },
  );
}
