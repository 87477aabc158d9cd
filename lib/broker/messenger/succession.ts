import { pidOf, type Channel } from '../../base/channel';
import type { Losses, Mail, Message, PlacedMessage, Replica } from '../../order/broker';
import { newEpoch, type Position } from '../../order/cursor';
import type { HandoverPart, ToAgent, ToWorkers } from './protocol';

/** How long things may take, in ms. */
export interface SuccessionTimes {
  /** A new epoch begins when no worker has said a word for so long, and none is known to live. */
  readonly alone: number;
  /** A new epoch begins when no worker has said a word for so long, though there are some that must know the order. */
  readonly silent: number;
  /** After the first worker's answer, the others may still answer for so long. */
  readonly gather: number;
  /** A worker that hands over its history may be silent for so long; then another one is asked. */
  readonly fetch: number;
}

const TICK_MS = 25;
const WHO_AGAIN_MS = 500;
const FETCH_TICK_MS = 100;

/**
 * How a new agent goes on with the order of the last one: the workers tell it the place where that order ended, and one
 * of them hands over the history up to there, while the agent already orders new messages.
 *
 * Any worker that lives will do, also one that is further on, since messages after that place are left out. When no
 * worker is left, the history before it is lost, and known to be.
 */
export class Succession {
  readonly #channel: Channel<ToWorkers, ToAgent>;
  /** This life of the agent. */
  readonly #session: string;
  readonly #times: SuccessionTimes;
  readonly #onPlace: (position: Position, states: readonly ToAgent['state'][]) => void;
  readonly #onHistory: () => void;
  #replica: Replica | undefined;
  #timer: NodeJS.Timeout | undefined;

  // While this agent looks for the place where the order ended:
  #isLooking = false;
  #hasWorkers = false;
  /** The states of the workers that know the order. */
  readonly #candidates = new Map<string, ToAgent['state']>();
  #startedAt = 0;
  #askedAt = 0;
  #firstCandidateAt = 0;

  // While the history up to that place is on its way:
  #isReceiving = false;
  #position: Position = { epoch: '', seq: 0 };
  /** The workers to be asked if `#source`, which hands over the history, falls silent. */
  #sources: string[] = [];
  #source: string | undefined;
  #heardAt = 0;
  #losses: Losses | undefined;
  #messages: PlacedMessage[] = [];
  /** The messages that are ordered meanwhile. */
  #deferred: PlacedMessage[] = [];

  /**
   * `onPlace` is called with the place where the order ended and the states of the workers, or with the beginning of a
   * new epoch and no states; `onHistory` when the replica has the history before that place.
   */
  constructor(
    channel: Channel<ToWorkers, ToAgent>,
    options: {
      session: string;
      times: SuccessionTimes;
      onPlace: (position: Position, states: readonly ToAgent['state'][]) => void;
      onHistory: () => void;
    },
  ) {
    this.#channel = channel;
    this.#session = options.session;
    this.#times = options.times;
    this.#onPlace = options.onPlace;
    this.#onHistory = options.onHistory;
  }

  /** Asks the workers for their places. */
  start(replica: Replica): void {
    this.#replica = replica;
    this.#channel.on('state', (state) => this.#hear(state));
    this.#channel.on('handover', ({ worker, session, part }) => {
      if (session === this.#session) this.#accept(worker, part);
    });
    this.#isLooking = true;
    this.#startedAt = performance.now();
    this.#who();
    this.#timer = setInterval(() => this.#recover(), TICK_MS);
    this.#timer.unref();
  }

  /** Whether the history is on its way from a worker. */
  get isReceiving(): boolean {
    return this.#isReceiving;
  }

  /** Says which workers listen, by pid. */
  listening(pids: ReadonlySet<string>): void {
    this.#hasWorkers = pids.size > 0;
    for (const worker of this.#candidates.keys()) if (!pids.has(pidOf(worker))) this.#candidates.delete(worker);
    if (this.#isLooking) this.#who();
  }

  /** Delivers a message that this agent has ordered: after the history before it. */
  deliver(message: Message, position: Position): void {
    if (this.#isReceiving) this.#deferred.push({ ...message, seq: position.seq });
    else this.#replica!.deliver(message, position);
  }

  /** Looks no more for the place: the order goes on, or begins. */
  stopLooking(): void {
    if (!this.#isLooking) return;
    this.#isLooking = false;
    clearInterval(this.#timer);
    this.#candidates.clear();
  }

  stop(): void {
    this.#isLooking = false;
    clearInterval(this.#timer);
  }

  #who(): void {
    this.#askedAt = performance.now();
    this.#channel.send('who', { session: this.#session });
  }

  #hear(state: ToAgent['state']): void {
    if (!this.#isLooking || state.session !== this.#session) return;
    if (this.#candidates.size === 0) this.#firstCandidateAt = performance.now();
    this.#candidates.set(state.worker, state);
  }

  /** Goes on from the newest place that a worker has; without any worker, a new epoch begins. */
  #recover(): void {
    const now = performance.now();
    if (this.#candidates.size > 0) {
      if (now - this.#firstCandidateAt < this.#times.gather) return;
      this.#succeed([...this.#candidates.values()].sort((a, b) => b.seq - a.seq));
      return;
    }
    const patience = this.#hasWorkers ? this.#times.silent : this.#times.alone;
    if (now - this.#startedAt > patience) this.#onPlace({ epoch: newEpoch(), seq: 0 }, []);
    else if (now - this.#askedAt > WHO_AGAIN_MS) this.#who();
  }

  /** Goes on where the last agent ended: orders at once, and receives the history meanwhile. */
  #succeed(candidates: readonly ToAgent['state'][]): void {
    const { epoch, seq } = candidates[0]!;
    this.stopLooking();
    this.#isReceiving = true;
    this.#position = { epoch, seq };
    this.#sources = candidates.filter((each) => each.epoch === epoch).map(({ worker }) => worker);
    this.#timer = setInterval(() => {
      if (performance.now() - this.#heardAt > this.#times.fetch) this.#askNext();
    }, FETCH_TICK_MS);
    this.#timer.unref();
    this.#askNext();
    this.#onPlace({ epoch, seq }, candidates);
  }

  #askNext(): void {
    this.#losses = undefined;
    this.#messages = [];
    this.#heardAt = performance.now();
    this.#source = this.#sources.shift();
    if (this.#source !== undefined) this.#channel.send('fetch', { session: this.#session }, this.#source);
    else this.#inherit({ keys: [], others: { seq: this.#position.seq, reason: 'evicted' } }, this.#noMail);
  }

  #accept(worker: string, { epoch, losses, messages, mail, last }: HandoverPart): void {
    const { seq } = this.#position;
    if (!this.#isReceiving || worker !== this.#source || epoch !== this.#position.epoch) return;
    this.#heardAt = performance.now();
    this.#losses ??= losses;
    for (const message of messages) if (message.seq <= seq) this.#messages.push(message);
    if (!last) return;
    const { keys = [], others } = this.#losses ?? {};
    const known = {
      keys: keys.filter((loss) => loss.seq <= seq),
      others: others === undefined || others.seq <= seq ? others : { ...others, seq },
    };
    this.#inherit(known, mail ?? this.#noMail);
  }

  /** The mail when no worker can tell what waits: of no place at all. */
  get #noMail(): Mail {
    const { epoch, seq } = this.#position;
    return { epoch, first: seq + 1, last: seq, waiting: [], lost: [] };
  }

  #inherit(losses: Losses, mail: Mail): void {
    const replica = this.#replica!;
    const { epoch } = this.#position;
    clearInterval(this.#timer);
    this.#isReceiving = false;
    replica.enter(epoch, losses);
    for (const message of this.#messages) replica.deliver(message, { epoch, seq: message.seq });
    replica.keepWaiting(mail);
    replica.arrive(this.#position);
    for (const message of this.#deferred) replica.deliver(message, { epoch, seq: message.seq });
    this.#messages = [];
    this.#deferred = [];
    this.#onHistory();
  }
}
