import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Broker, Draft, Message, Poll, Question, Replica } from '../../order/broker';
import type { Channel } from '../../base/channel';
import { toParts, type HandoverPart, type NumberedDraft, type ToWorkers, type ToAgent } from './protocol';
import type { Position } from '../../order/cursor';
import { SseError } from '../../base/error';
import { Outbox } from '../outbox';
import { Polls } from '../polls';

/** How long things may take, in ms. */
export interface MessengerTimes {
  /** A publish that gets no place fails after this. */
  readonly publish: number;
  /** A question to all workers, and a request to catch up, is over after this. */
  readonly answer: number;
  /** A worker that stops waits this long for its publishes in flight. */
  readonly stop: number;
}

// An agent that died is back after a second or two, on a busy machine after several.
const TIMES: MessengerTimes = { publish: 15_000, answer: 2_000, stop: 1_000 };

const TICK_MS = 250;
// A batch waits for the one before it, which may be lost: it goes anyway after this time, or with this many drafts.
const BATCH_MS = 1_000;
const BATCH_COUNT = 256;
const JOIN_AGAIN_MS = 1_000;

// A worker asks the agent alone; the agent asks the other workers.
const AGENT = 'agent';

/**
 * A worker's end of the order that the agent gives.
 *
 * A publish resolves when this worker hears its own message back in the order: every worker that lives has it then, so
 * it outlives the agent. A draft that was not heard when an agent dies is sent again to the next, which orders it once.
 */
export class MessengerBroker implements Broker {
  readonly #channel: Channel<ToAgent, ToWorkers>;
  readonly #times: MessengerTimes;
  /** No other process has this name, not even a later one with the same pid. */
  readonly #worker: string;
  #replica: Replica | undefined;
  #session: string | undefined;
  #live = false;
  #stopped = false;
  #attempt = 0;
  #joinedAt = 0;
  #heard = 0;
  readonly #outbox: Outbox<Draft>;
  #batch: NumberedDraft[] = [];
  #flushing = false;
  /** The batch that is on its way: the number of its last draft, and when it was sent. */
  #underWay: { readonly last: number; readonly since: number } | undefined;
  readonly #requests: Polls;
  #ticker: NodeJS.Timeout | undefined;
  #started: { resolve(): void; reject(error: SseError): void } | undefined;

  constructor(channel: Channel<ToAgent, ToWorkers>, options: { pid?: number; times?: Partial<MessengerTimes> } = {}) {
    this.#channel = channel;
    this.#times = { ...TIMES, ...options.times };
    this.#outbox = new Outbox(this.#times.publish, 'the agent did not order the message');
    this.#requests = new Polls(this.#times.answer);
    this.#worker = `${options.pid ?? process.pid}-${randomBytes(4).toString('hex')}`;
  }

  start(replica: Replica): Promise<void> {
    this.#replica = replica;
    this.#on('backlog', ({ session, attempt, part }) => {
      if (attempt === this.#attempt && !this.#live) this.#accept(part, session);
    });
    this.#on('order', (batch) => this.#deliver(batch));
    this.#on('who', ({ session }) => this.#present(session));
    this.#on('ready', (agent) => this.#meet(agent));
    this.#on('fetch', ({ session }) => void this.#handOver(session));
    this.#on('question', ({ poll, question }) => void this.#answer(poll, question));
    this.#on('caughtUp', ({ request }) => this.#requests.hear(request, AGENT, undefined));
    this.#on('poll', ({ request, poll }) => this.#requests.hear(request, AGENT, poll));
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#ticker.unref();
    return new Promise((resolve, reject) => {
      // There is no deadline: Egg does not start a worker again that failed to start, but says what it waits for.
      this.#started = { resolve, reject };
      this.#join();
    });
  }

  publish(draft: Draft): Promise<Position> {
    try {
      const { number, promise } = this.#outbox.add(draft);
      if (this.#live) this.#post({ number, draft });
      return promise;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async catchUp(): Promise<boolean> {
    const { complete } = await this.#requests.ask((request) => {
      this.#channel.send('catchUp', { worker: this.#worker, request });
      return [AGENT];
    });
    return complete;
  }

  async ask(question: Question): Promise<Poll> {
    const { answers, complete } = await this.#requests.ask((request) => {
      this.#channel.send('ask', { worker: this.#worker, request, question });
      return [AGENT];
    });
    if (complete) return answers.get(AGENT) as Poll;
    return { answers: this.#replica === undefined ? [] : [await this.#replica.answer(question)], complete: false };
  }

  /** Waits a moment for publishes in flight, so that none of them fails in an orderly shutdown. */
  async stop(): Promise<void> {
    if (this.#live) await this.#outbox.drain(this.#times.stop);
    clearInterval(this.#ticker);
    this.#channel.close();
    this.#stopped = true;
    this.#live = false;
    this.#outbox.close();
    this.#requests.stop();
    this.#started?.reject(new SseError('ERR_SSE_STOPPED', 'this worker is going', { status: 503 }));
    this.#started = undefined;
  }

  async #answer(poll: number, question: Question): Promise<void> {
    const answer = await this.#replica!.answer(question);
    if (!this.#stopped) this.#channel.send('answer', { worker: this.#worker, poll, answer });
  }

  #on<A extends keyof ToWorkers>(action: A, listener: (data: ToWorkers[A]) => void): void {
    this.#channel.on(action, listener, this.#worker);
  }

  #join(): void {
    this.#live = false;
    this.#replica!.follow(false);
    this.#joinedAt = performance.now();
    const { epoch, seq = 0 } = this.#replica!.position ?? {};
    this.#channel.send('join', { worker: this.#worker, attempt: ++this.#attempt, epoch, seq });
  }

  /** Accepts a part of the backlog; with the last one this worker is live. */
  #accept({ epoch, seq, losses, messages, mail, last }: HandoverPart, session: string): void {
    const replica = this.#replica!;
    if (losses !== undefined) replica.enter(epoch, losses);
    for (const message of messages) this.#hear(message, { epoch, seq: message.seq });
    // As long as parts come, `#tick` has no need to join again.
    this.#joinedAt = performance.now();
    if (!last) return;
    if (mail !== undefined) replica.keepWaiting(mail);
    replica.arrive({ epoch, seq });
    replica.follow(true);
    this.#live = true;
    this.#session = session;
    this.#postAgain();
    this.#started?.resolve();
    this.#started = undefined;
  }

  #deliver({ epoch, seq, messages }: ToWorkers['order']): void {
    if (!this.#live) return;
    const position = this.#replica!.position!;
    if (epoch !== position.epoch || seq !== position.seq + 1) {
      this.#join();
      return;
    }
    for (let i = 0; i < messages.length; i++) this.#hear(messages[i]!, { epoch, seq: seq + i });
  }

  #hear(message: Message, position: Position): void {
    this.#replica!.deliver(message, position);
    const { nonce } = message;
    if (nonce?.startsWith(this.#worker) !== true || nonce[this.#worker.length] !== '.') return;
    const number = Number(nonce.slice(this.#worker.length + 1));
    this.#heard = Math.max(this.#heard, number);
    this.#outbox.place(number, position);
    if (this.#underWay === undefined || number < this.#underWay.last) return;
    this.#underWay = undefined;
    if (this.#batch.length > 0) this.#flushSoon();
  }

  /** Tells a new agent this worker's place. */
  #present(session: string): void {
    if (!this.#live) {
      this.#join();
      return;
    }
    const { epoch, seq } = this.#replica!.position!;
    this.#channel.send('state', { worker: this.#worker, session, epoch, seq, heard: this.#heard });
  }

  /** Goes on with a new agent, from the same place if it can; sends again drafts that the last one did not order. */
  #meet({ session, epoch, seq }: ToWorkers['ready']): void {
    const position = this.#replica!.position;
    if (!this.#live || position?.epoch !== epoch || position.seq !== seq) {
      this.#join();
      return;
    }
    this.#session = session;
    this.#postAgain();
  }

  /** Gives a new agent the history, a part per turn, so that this worker's clients do not wait for all of it. */
  async #handOver(session: string): Promise<void> {
    if (!this.#live) return;
    for (const part of toParts(this.#replica!.handover(0))) {
      if (this.#stopped) return;
      this.#channel.send('handover', { worker: this.#worker, session, part });
      await nextTurn();
    }
  }

  #post(draft: NumberedDraft): void {
    this.#batch.push(draft);
    // Drafts that are published while a batch is on its way cross the channel together: the busier it is, the more of
    // them share the cost of a crossing.
    if (this.#underWay === undefined || this.#batch.length >= BATCH_COUNT) this.#flushSoon();
  }

  /** Sends the drafts of this turn together. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => this.#flush());
  }

  #postAgain(): void {
    this.#batch = [];
    this.#underWay = undefined;
    for (const each of this.#outbox.after()) this.#post(each);
  }

  #flush(): void {
    this.#flushing = false;
    if (!this.#live || this.#batch.length === 0) return;
    const drafts = this.#batch;
    this.#batch = [];
    this.#underWay = { last: drafts.at(-1)!.number, since: performance.now() };
    this.#channel.send('drafts', { worker: this.#worker, session: this.#session!, drafts });
  }

  #tick(): void {
    if (!this.#live && performance.now() - this.#joinedAt > JOIN_AGAIN_MS) this.#join();
    if (this.#underWay !== undefined && performance.now() - this.#underWay.since > BATCH_MS) this.#flushSoon();
    this.#outbox.expire();
  }
}
