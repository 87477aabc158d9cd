import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type Broker,
  type Draft,
  type Message,
  type Poll,
  type Question,
  type Replica,
  NO_LOSSES,
} from '../../order/broker';
import { pidOf, type Channel } from '../../base/channel';
import { toParts, type ToWorkers, type ToAgent } from './protocol';
import { newEpoch, type Position } from '../../order/cursor';
import { SseError } from '../../base/error';
import { Succession, type SuccessionTimes } from './succession';
import { Polls } from '../polls';

/** How long things may take, in ms. */
export interface SequencerTimes extends SuccessionTimes {
  /** A question to the workers is over after this. */
  readonly answer: number;
  /** A publish of the agent's own fails when it gets no place for so long. */
  readonly publish: number;
}

const TIMES: SequencerTimes = {
  alone: 1_000,
  silent: 15_000,
  gather: 50,
  fetch: 5_000,
  answer: 1_000,
  publish: 15_000,
};

const BATCH_LENGTH = 512 * 1024;
const MAX_KNOWN_WORKERS = 1_000;

/**
 * The agent's end of the order: it gives every message its place, and keeps the history.
 *
 * When an agent dies, the next goes on with the order where it was, from a worker: all that any worker has heard, the
 * workers that live have heard, so none of it is lost and no place is given twice. Only when no worker is left a new
 * epoch begins.
 */
export class Sequencer implements Broker {
  readonly #channel: Channel<ToWorkers, ToAgent>;
  readonly #times: SequencerTimes;
  /** This life of the agent: messages to another one are passed over. */
  readonly #session = randomBytes(6).toString('hex');
  #replica: Replica | undefined;
  #ordering = false;
  #stopped = false;
  #epoch = '';
  #seq = 0;
  #number = 0;
  /** By worker, the number of its newest draft that has a place. */
  readonly #ordered = new Map<string, number>();
  /** The newest messages of the order, which are not on their way yet. */
  #outbox: Message[] = [];
  #flushing = false;
  #onFlush: (() => void)[] = [];
  /** The pids of the workers that listen, as Egg's master tells; undefined as long as it has not. */
  #listening: Set<string> | undefined;
  readonly #joined = new Set<string>();
  /** The joins of workers that came before there is a history to give them. */
  readonly #joins = new Map<string, ToAgent['join']>();
  /** Calls that wait until there is an order. */
  #early: (() => void)[] = [];
  readonly #succession: Succession;
  readonly #polls: Polls;

  constructor(channel: Channel<ToWorkers, ToAgent>, times: Partial<SequencerTimes> = {}) {
    this.#channel = channel;
    this.#times = { ...TIMES, ...times };
    this.#succession = new Succession(channel, {
      session: this.#session,
      times: this.#times,
      onPlace: (position, states) => {
        for (const { worker, heard } of states) this.#ordered.set(worker, heard);
        this.#begin(position);
      },
      onHistory: () => this.#welcomeAll(),
    });
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
      // Drafts for another life of the agent are passed over: their worker sends them again, in order, once it has met
      // this one.
      if (!this.#ordering || session !== this.#session) return;
      for (const { number, draft } of drafts) {
        if (number > (this.#ordered.get(worker) ?? 0)) this.#order(draft, worker, number);
      }
    });
    this.#channel.on('state', ({ worker }) => void this.#joined.add(worker));
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
    this.#succession.start(replica);
  }

  /** Says which workers listen, by pid: Egg's master tells whenever it changes, and when an agent was started again. */
  listening(pids: readonly (string | number)[]): void {
    const before = this.#listening;
    this.#listening = new Set(pids.map(String));
    for (const worker of this.#joined) {
      // A worker that has never listened is starting; a worker that listened before is gone.
      if (before?.has(pidOf(worker)) === true && !this.#listening.has(pidOf(worker))) this.#joined.delete(worker);
    }
    this.#succession.listening(this.#listening);
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
        // A message that is on its way to all workers outlives the agent.
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
    // A new agent cannot ask workers that have not told it their names yet.
    const knowsAll = listening === undefined || [...listening].every((pid) => known.has(pid));
    if (asked.length === 0) return { answers: [], complete: this.#ordering && knowsAll };
    const { answers, complete } = await this.#polls.ask((poll) => {
      this.#channel.send('question', { poll, question });
      return asked;
    });
    // Answers of other workers, which are starting or going, do not count.
    const theirs = asked.filter((worker) => answers.has(worker)).map((worker) => answers.get(worker));
    return { answers: theirs, complete: complete && knowsAll };
  }

  async stop(): Promise<void> {
    this.#flush();
    this.#succession.stop();
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
    this.#succession.deliver(message, position);
    this.#outbox.push(message);
    if (!this.#flushing) {
      this.#flushing = true;
      setImmediate(() => this.#flush());
    }
    return position;
  }

  /** Sends the messages of one turn together. */
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

  /** Gives the workers that have joined the history that they have missed, once it is here. */
  #welcomeAll(): void {
    if (!this.#ordering || this.#succession.isReceiving) return;
    for (const join of this.#joins.values()) void this.#welcome(join);
    this.#joins.clear();
  }

  /** Gives a worker the history that it has missed, a part per turn; later messages reach it live. */
  async #welcome({ worker, attempt, epoch, seq }: ToAgent['join']): Promise<void> {
    if (epoch === this.#epoch && seq > this.#seq) {
      // The worker knows places that this agent never learnt of: they must not be given again.
      this.#begin({ epoch: newEpoch(), seq: 0 });
    }
    let from = epoch === this.#epoch ? seq : 0;
    const begun = this.#epoch;
    for (;;) {
      const parts = toParts(this.#replica!.handover(from));
      const isAll = parts.length === 1;
      // Messages of this history that are still to go to all workers go first: this one, which is not live yet, passes
      // over them. Once it is live it would get them again.
      if (isAll) this.#flush();
      for (const part of parts) {
        this.#channel.send('backlog', { session: this.#session, attempt, part: { ...part, last: isAll } }, worker);
        if (!isAll) await nextTurn();
      }
      if (isAll || this.#stopped || this.#epoch !== begun) return;
      from = parts[0]!.seq;
    }
  }

  /** Orders from now on, after a place. */
  #begin({ epoch, seq }: Position): void {
    this.#succession.stopLooking();
    this.#flush();
    if (!this.#succession.isReceiving) {
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
