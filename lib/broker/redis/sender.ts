import { AsyncResource } from 'node:async_hooks';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import type { SseLogger } from '../../base/logger';
import { mailboxesOf } from '../../message/keys';
import type { SseMailbox } from '../../options/options';
import type { Position } from '../../order/cursor';
import { Outbox, type Numbered } from '../outbox';
import type { StoreDraft, StoreTaken } from './draft';
import { fromCursor, toId } from './place';
import { isRefusal, type Store } from './store';

const TICK_MS = 250;
const BATCH_COUNT = 200;
const BATCH_LENGTH = 512 * 1024;

/** A process's stay in the order: from when it has read the backlog until its connections end. */
export interface Session {
  readonly store: Store;
  /** The epoch: when another one begins, the session is over. */
  readonly term: number;
  /** Ends the session. */
  fail(error: Error): void;
}

/**
 * Sends the drafts of this process to Redis, and has those that have no place yet.
 *
 * A draft waits until the process has read its own message back. After a break all that wait are sent again, in order.
 */
export class Sender {
  readonly #host: string;
  readonly #mailbox: SseMailbox | false;
  readonly #logger: SseLogger;
  readonly #refusedMs: number;
  readonly #outbox: Outbox<StoreDraft>;
  /** The drafts that have not been sent in this session. */
  #unsent: Numbered<StoreDraft>[] = [];
  #session: Session | undefined;
  #flushing = false;
  readonly #context = new AsyncResource('egg-sse.redis');
  #refused = false;
  #ticker: NodeJS.Timeout | undefined;

  /** A draft that waits longer than `patience` ms fails; one that Redis refuses is sent again after `refused` ms. */
  constructor(options: {
    host: string;
    mailbox: SseMailbox | false;
    logger: SseLogger;
    patience: number;
    refused: number;
  }) {
    this.#host = options.host;
    this.#mailbox = options.mailbox;
    this.#logger = options.logger;
    this.#refusedMs = options.refused;
    this.#outbox = new Outbox(options.patience, 'Redis did not order the message');
  }

  /** From now on, drafts that wait for too long fail. */
  start(): void {
    this.#ticker = setInterval(() => this.#outbox.expire(), TICK_MS);
    this.#ticker.unref();
  }

  publish(draft: StoreDraft): Promise<Position> {
    const { number, promise } = this.#outbox.add(draft);
    if (this.#session !== undefined) {
      this.#unsent.push({ number, draft });
      // `#flush` goes on for later publishes: it must not carry the context of the request that happened to start it.
      this.#context.runInAsyncScope(() => void this.#flush());
    }
    return promise;
  }

  /** Sends the drafts that wait, and those published from now on. */
  attach(session: Session): void {
    this.#session = session;
    this.#unsent = [...this.#outbox.after()];
    void this.#flush();
  }

  /** Sends no more until the next session. */
  detach(): void {
    this.#session = undefined;
    this.#unsent = [];
  }

  /** Says that a draft has its place. */
  place(number: number, position: Position): void {
    this.#outbox.place(number, position);
  }

  /** Resolves when no draft waits, or after so many ms. */
  drain(ms: number): Promise<void> {
    return this.#outbox.drain(ms);
  }

  /** Fails the drafts that wait, and accepts no more. */
  close(): void {
    clearInterval(this.#ticker);
    this.#outbox.close();
  }

  /** Sends the drafts that wait, batch by batch, each when Redis has ordered the one before. */
  async #flush(): Promise<void> {
    if (this.#flushing) return;
    this.#flushing = true;
    // Drafts of one turn go together.
    await nextTurn();
    try {
      while (this.#session !== undefined && this.#unsent.length > 0) await this.#sendBatch(this.#session);
    } catch (error) {
      this.#session?.fail(error as Error);
    } finally {
      this.#flushing = false;
      if (this.#session !== undefined && this.#unsent.length > 0) void this.#flush();
    }
  }

  async #sendBatch(session: Session): Promise<void> {
    const batch = this.#nextBatch();
    let done: boolean;
    try {
      done = await session.store.append(batch, {
        term: session.term,
        host: ({ reach }) => (reach === 'everywhere' ? '' : this.#host),
        mailboxes: ({ keys }) => (this.#mailbox === false ? [] : mailboxesOf(this.#mailbox, keys)),
        taken: (draft) => this.#takenOf(draft),
      });
    } catch (error) {
      if (this.#session === session) await this.#onRefused(error as Error);
      return;
    }
    if (this.#session !== session) return;
    if (!done) throw new Error('the order is gone from Redis');
    if (this.#refused) this.#logger.info('Redis accepts messages again');
    this.#refused = false;
    this.#unsent.splice(0, batch.length);
  }

  #nextBatch(): Numbered<StoreDraft>[] {
    let length = 0;
    let count = 0;
    for (const { draft } of this.#unsent) {
      length += draft.body.length;
      if (count > 0 && (count >= BATCH_COUNT || length > BATCH_LENGTH)) break;
      count++;
    }
    return this.#unsent.slice(0, count);
  }

  #takenOf({ act }: StoreDraft): StoreTaken | undefined {
    if (act?.do !== 'take') return undefined;
    const taken = act.taken.flatMap(({ key, cursors }) =>
      cursors.map((cursor) => [toId(fromCursor(cursor)), key] as const),
    );
    const told = act.told.map(({ key, cursor }) => [fromCursor(cursor).seq, key, this.#host] as const);
    return { taken, told };
  }

  /** Waits when Redis accepts nothing for now; any other error ends the session. */
  async #onRefused(error: Error): Promise<void> {
    if (!isRefusal(error)) throw error;
    if (!this.#refused)
      this.#logger.warn(`Redis accepts no messages for now, trying again until it does: ${error.message}`);
    this.#refused = true;
    await pause(this.#refusedMs * (0.5 + Math.random()), undefined, { ref: false });
    // Some drafts may have expired meanwhile.
    this.#unsent = [...this.#outbox.after()];
  }
}
