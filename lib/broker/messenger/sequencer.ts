import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type Broker,
  type Draft,
  type Handover,
  type Message,
  type PlacedMessage,
  type Poll,
  type Question,
  type Replica,
  NO_LOSSES,
} from '../../order/broker';
import { pidOf, type Channel } from '../../base/channel';
import { toParts, type ToWorkers, type ToAgent } from './protocol';
import { newEpoch, type Position } from '../../order/cursor';
import { SseError } from '../../base/error';
import { Inheritance } from './succession';
import { Polls } from '../polls';

/** How long things may take, in ms. */
export interface SequencerTimes {
  /** Without a word of any worker, and none known to live, the agent is the first: it begins a new epoch. */
  readonly alone: number;
  /** The same when there are workers that must know the order. */
  readonly silent: number;
  /** How long other workers may still answer after the first. */
  readonly settle: number;
  /** A worker that hands over its history may be silent so long. */
  readonly fetch: number;
  /** A worker that is asked has so long to answer. */
  readonly answer: number;
  /** A publish of the agent's own fails when there is no order after this. */
  readonly publish: number;
}

const TIMES: SequencerTimes = {
  alone: 1_000,
  silent: 15_000,
  settle: 50,
  fetch: 5_000,
  answer: 1_000,
  publish: 15_000,
};

const TICK_MS = 25;
const WHO_AGAIN_MS = 500;
const BATCH_LENGTH = 512 * 1024;
const MAX_KNOWN_WORKERS = 1_000;

/**
 * The agent's end: gives the order and keeps its history.
 *
 * When an agent dies, the next takes up the order where it was, from a worker: all that any worker has heard, the workers
 * that live have heard, so none of it is lost and no place is given twice. Only when no worker is left a new epoch begins.
 */
export class Sequencer implements Broker {
  readonly #channel: Channel<ToWorkers, ToAgent>;
  readonly #times: SequencerTimes;
  /** This life of the agent: what was meant for another is not for this one. */
  readonly #session = randomBytes(6).toString('hex');
  #replica: Replica | undefined;
  #ordering = false;
  #stopped = false;
  #epoch = '';
  #seq = 0;
  #number = 0;
  /** By worker, the number of its newest draft that has a place. */
  readonly #ordered = new Map<string, number>();
  /** What was ordered last and is not on its way. */
  #outbox: Message[] = [];
  #flushing = false;
  #onFlush: (() => void)[] = [];
  /** Workers that listen, as Egg's master tells; undefined as long as it has not. */
  #listening: Set<string> | undefined;
  readonly #joined = new Set<string>();
  /** Workers that join before there is a history to give them. */
  readonly #joins = new Map<string, ToAgent['join']>();
  /** What is to be done once there is an order. */
  #early: (() => void)[] = [];
  /** Of a new agent: the workers that know the order, and the history that one of them hands over. */
  readonly #candidates = new Map<string, ToAgent['state']>();
  #inheritance: Inheritance | undefined;
  /** What is ordered while the history before it is on its way. */
  #deferred: PlacedMessage[] = [];
  #startedAt = 0;
  #askedAt = 0;
  #firstCandidateAt = 0;
  #recovery: NodeJS.Timeout | undefined;
  readonly #polls: Polls;

  constructor(channel: Channel<ToWorkers, ToAgent>, times: Partial<SequencerTimes> = {}) {
    this.#channel = channel;
    this.#times = { ...TIMES, ...times };
    this.#polls = new Polls(this.#times.answer);
  }

  async start(replica: Replica): Promise<void> {
    this.#replica = replica;
    this.#channel.on('join', (join) => {
      this.#joined.add(join.worker);
      this.#joins.set(join.worker, join);
      this.#welcomeAll();
    });
    this.#channel.on('drafts', ({ worker, session, drafts }) => {
      // A draft for another life of the agent is sent again, in its turn, once its worker has met this one.
      if (!this.#ordering || session !== this.#session) return;
      for (const { number, draft } of drafts) {
        if (number > (this.#ordered.get(worker) ?? 0)) this.#order(draft, worker, number);
      }
    });
    this.#channel.on('state', (state) => {
      this.#joined.add(state.worker);
      if (this.#ordering || state.session !== this.#session) return;
      if (this.#candidates.size === 0) this.#firstCandidateAt = performance.now();
      this.#candidates.set(state.worker, state);
    });
    this.#channel.on('history', ({ worker, session, part }) => {
      if (session === this.#session) this.#inheritance?.take(worker, part);
    });
    this.#channel.on('catchUp', ({ worker, request }) => {
      this.#whenOrdering(() => {
        this.#flush();
        this.#channel.send('caughtUp', { request }, worker);
      });
    });
    this.#channel.on('ask', ({ worker, request, question }) => {
      void this.ask(question).then((poll) => this.#channel.send('poll', { request, poll }, worker));
    });
    this.#channel.on('answer', ({ worker, poll, answer }) => this.#polls.hear(poll, worker, answer));
    this.#startedAt = performance.now();
    this.#who();
    this.#recovery = setInterval(() => this.#recover(), TICK_MS);
    this.#recovery.unref();
  }

  /** Says which workers listen, by pid: Egg's master tells whenever it changes, and when an agent was started again. */
  listening(pids: readonly (string | number)[]): void {
    const before = this.#listening;
    this.#listening = new Set(pids.map(String));
    for (const worker of this.#joined) {
      // One that does not listen yet is starting; one that did is gone.
      if (before?.has(pidOf(worker)) === true && !this.#listening.has(pidOf(worker))) this.#joined.delete(worker);
    }
    for (const worker of this.#candidates.keys()) {
      if (!this.#listening.has(pidOf(worker))) this.#candidates.delete(worker);
    }
    if (!this.#ordering) this.#who();
  }

  /** Says that no agent was before this one: the order begins at once. */
  beFirst(): void {
    if (!this.#ordering && this.#replica !== undefined) this.#begin({ epoch: newEpoch(), seq: 0 });
  }

  publish(draft: Draft): Promise<Position> {
    if (this.#stopped) {
      return Promise.reject(new SseError('ERR_SSE_STOPPED', 'the agent is going', { status: 503 }));
    }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(
          new SseError(
            'ERR_SSE_UNAVAILABLE',
            `there was no order in ${this.#times.publish} ms: the workers do not answer`,
            {
              status: 503,
            },
          ),
        );
      }, this.#times.publish);
      this.#whenOrdering(() => {
        clearTimeout(timer);
        const position = this.#order(draft, this.#session, ++this.#number);
        // Once it is on its way to all workers, it outlives the agent.
        this.#onFlush.push(() => resolve(position));
      });
    });
  }

  async catchUp(): Promise<boolean> {
    // This process gives the order.
    return true;
  }

  async ask(question: Question): Promise<Poll> {
    const listening = this.#listening;
    const asked = [...this.#joined].filter((worker) => listening?.has(pidOf(worker)) !== false);
    const known = new Set([...this.#joined].map(pidOf));
    // A new agent cannot ask those that have not told it their names.
    const knowsAll = listening === undefined || [...listening].every((pid) => known.has(pid));
    if (asked.length === 0) return { answers: [], complete: this.#ordering && knowsAll };
    const { answers, complete } = await this.#polls.take((poll) => {
      this.#channel.send('question', { poll, question });
      return asked;
    });
    // Nobody counts who was not asked: a worker that is starting, or going.
    const theirs = asked.filter((worker) => answers.has(worker)).map((worker) => answers.get(worker));
    return { answers: theirs, complete: complete && knowsAll };
  }

  async stop(): Promise<void> {
    this.#flush();
    clearInterval(this.#recovery);
    this.#inheritance?.stop();
    this.#polls.stop();
    this.#channel.close();
    this.#stopped = true;
    this.#ordering = false;
  }

  #order(draft: Draft, worker: string, number: number): Position {
    this.#ordered.set(worker, number);
    if (this.#ordered.size > MAX_KNOWN_WORKERS) {
      const [oldest] = this.#ordered.keys();
      this.#ordered.delete(oldest!);
    }
    const position = { epoch: this.#epoch, seq: ++this.#seq };
    const message: Message = { ...draft, nonce: `${worker}.${number}` };
    if (this.#inheritance === undefined) this.#replica!.deliver(message, position);
    else this.#deferred.push({ ...message, seq: position.seq });
    this.#outbox.push(message);
    if (!this.#flushing) {
      this.#flushing = true;
      setImmediate(() => this.#flush());
    }
    return position;
  }

  /** Sends what one turn has ordered, together. */
  #flush(): void {
    this.#flushing = false;
    const messages = this.#outbox;
    this.#outbox = [];
    const first = this.#seq - messages.length + 1;
    let start = 0;
    let length = 0;
    for (const [i, { body }] of messages.entries()) {
      length += body.length;
      if (length < BATCH_LENGTH && i < messages.length - 1) continue;
      const batch = messages.slice(start, i + 1);
      this.#channel.send('order', { epoch: this.#epoch, seq: first + start, messages: batch });
      start = i + 1;
      length = 0;
    }
    for (const act of this.#onFlush.splice(0)) act();
  }

  #whenOrdering(act: () => void): void {
    if (this.#ordering) act();
    else this.#early.push(act);
  }

  /** Gives the workers that wait for it what they have missed, once there is a history. */
  #welcomeAll(): void {
    if (!this.#ordering || this.#inheritance !== undefined) return;
    for (const join of this.#joins.values()) void this.#welcome(join);
    this.#joins.clear();
  }

  /** Gives a worker what it has missed, a part per turn; what is ordered after the last one reaches it live. */
  async #welcome({ worker, attempt, epoch, seq }: ToAgent['join']): Promise<void> {
    if (epoch === this.#epoch && seq > this.#seq) {
      // It knows places that this agent never learnt of: they must not be given again.
      this.#begin({ epoch: newEpoch(), seq: 0 });
    }
    let from = epoch === this.#epoch ? seq : 0;
    const begun = this.#epoch;
    for (;;) {
      const parts = toParts(this.#replica!.handover(from));
      const isAll = parts.length === 1;
      // What is on its way to all goes first: the worker takes it for what it has missed.
      if (isAll) this.#flush();
      for (const part of parts) {
        this.#channel.send('backlog', { session: this.#session, attempt, part: { ...part, last: isAll } }, worker);
        if (!isAll) await nextTurn();
      }
      if (isAll || this.#stopped || this.#epoch !== begun) return;
      from = parts[0]!.seq;
    }
  }

  #who(): void {
    this.#askedAt = performance.now();
    this.#channel.send('who', { session: this.#session });
  }

  /** Finds out where the order is. */
  #recover(): void {
    const now = performance.now();
    if (this.#candidates.size > 0) {
      if (now - this.#firstCandidateAt < this.#times.settle) return;
      this.#succeed([...this.#candidates.values()].sort((a, b) => b.seq - a.seq));
      return;
    }
    const patience = (this.#listening?.size ?? 0) > 0 ? this.#times.silent : this.#times.alone;
    if (now - this.#startedAt > patience) this.#begin({ epoch: newEpoch(), seq: 0 });
    else if (now - this.#askedAt > WHO_AGAIN_MS) this.#who();
  }

  /** Goes on where the last agent ended: orders at once, and takes over the history meanwhile. */
  #succeed(candidates: readonly ToAgent['state'][]): void {
    const { epoch, seq } = candidates[0]!;
    for (const { worker, heard } of candidates) this.#ordered.set(worker, heard);
    const names = candidates.filter((each) => each.epoch === epoch).map(({ worker }) => worker);
    this.#inheritance = new Inheritance({ epoch, seq }, names, {
      ask: (worker) => this.#channel.send('fetch', { session: this.#session }, worker),
      onDone: (history) => this.#inherit(history),
      patience: this.#times.fetch,
    });
    this.#begin({ epoch, seq });
  }

  #inherit({ position, losses, messages, mail }: Handover): void {
    const replica = this.#replica!;
    this.#inheritance = undefined;
    replica.enter(position.epoch, losses);
    for (const message of messages) replica.deliver(message, { epoch: position.epoch, seq: message.seq });
    replica.keepWaiting(mail);
    replica.arrive(position);
    for (const message of this.#deferred) replica.deliver(message, { epoch: this.#epoch, seq: message.seq });
    this.#deferred = [];
    this.#welcomeAll();
  }

  /** Orders from now on, after a place. */
  #begin({ epoch, seq }: Position): void {
    clearInterval(this.#recovery);
    this.#candidates.clear();
    this.#flush();
    if (this.#inheritance === undefined) {
      this.#replica!.enter(epoch, NO_LOSSES);
      this.#replica!.arrive({ epoch, seq });
    }
    this.#epoch = epoch;
    this.#seq = seq;
    this.#ordering = true;
    this.#replica!.follow(true);
    this.#channel.send('ready', { session: this.#session, epoch, seq });
    this.#welcomeAll();
    const early = this.#early;
    this.#early = [];
    for (const act of early) act();
  }
}
