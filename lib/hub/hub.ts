import type { UserLimit } from '../access/user_limit';
import type { Pools } from '../connection/pools';
import type { Log } from '../log/log';
import { ALL } from '../message/keys';
import type { Act, Handover, Losses, Mail, Message, Question, Replica } from '../order/broker';
import { toCursor, type Position } from '../order/cursor';
import type { Confirmations } from '../pump/confirmations';
import type { Pump } from '../pump/pump';
import type { Runs } from '../runs/runs';
import type { Events } from './events';
import type { Rights } from './rights';
import type { Unplaced } from './unplaced';

/** Numbers of a worker, now. */
export interface SseStats {
  readonly connections: number;
  /** Keys that at least one connection holds, the plugin's own among them. */
  readonly pools: number;
  /** Bytes that wait in this process for clients to read. */
  readonly unsentBytes: number;
  readonly historyMessages: number;
  readonly historyBytes: number;
  /** Messages that are kept for mailboxes only, after the history has let go of them. */
  readonly mailMessages: number;
  readonly mailBytes: number;
  /** Messages that are kept for runs only. */
  readonly runMessages: number;
  readonly runBytes: number;
}

/** This process's copy of the order: the broker delivers messages to its log, and the pump brings them to streams. */
export class Hub implements Replica {
  readonly #log: Log;
  readonly #pools: Pools;
  readonly #pump: Pump;
  readonly #confirmations: Confirmations;
  readonly #unplaced: Unplaced;
  readonly #rights: Rights;
  readonly #runs: Runs;
  readonly #userLimit: UserLimit;
  readonly #events: Events;

  constructor(parts: {
    log: Log;
    pools: Pools;
    pump: Pump;
    confirmations: Confirmations;
    unplaced: Unplaced;
    rights: Rights;
    runs: Runs;
    userLimit: UserLimit;
    events: Events;
  }) {
    this.#log = parts.log;
    this.#pools = parts.pools;
    this.#pump = parts.pump;
    this.#confirmations = parts.confirmations;
    this.#unplaced = parts.unplaced;
    this.#rights = parts.rights;
    this.#runs = parts.runs;
    this.#userLimit = parts.userLimit;
    this.#events = parts.events;
  }

  get position(): Position | undefined {
    return this.#log.place;
  }

  enter(epoch: string, losses: Losses): void {
    this.#log.lose(epoch, losses);
    // Clients that missed messages are to be told.
    this.#pump.wakeAll(this.#pools.all);
  }

  keepWaiting(mail: Mail): void {
    this.#log.mailboxes.keepWaiting(mail);
  }

  arrive(position: Position): void {
    this.#log.arrive(position);
  }

  follow(inSight: boolean): void {
    this.#unplaced.follow(inSight);
  }

  handover(seq: number): Handover {
    return this.#log.handover(seq);
  }

  async answer(question: Question): Promise<unknown> {
    if ('received' in question) return this.#confirmations.count(question.received);
    if ('slots' in question) return this.#userLimit.answer(question.slots, question.ticket);
    if ('runs' in question) return this.#runs.producedOf(question.runs);
    return this.count(question.count);
  }

  /** Appends a message to the log, for the pump to write. Never throws. */
  deliver(message: Message, position: Position | undefined): void {
    if (message.act !== undefined) {
      this.#perform(message, message.act, position);
      return;
    }
    const { keys, id, event, confirm, run } = message;
    const entry = this.#log.append(message, position);
    if (entry === undefined) return;
    if (run?.is === 'end') this.#runs.onEnd(keys[0]!);
    if (confirm !== undefined) this.#confirmations.arrive(confirm, entry);
    for (const key of keys) {
      const pool = this.#pools.of(key);
      if (pool !== undefined) this.#pump.wakeAll(pool);
    }
    this.#pump.mark();
    if (run?.is !== 'start' && this.#events.has('deliver'))
      this.#events.emit('deliver', { keys, event, id: id ?? (position && toCursor(position)), bytes: entry.bytes });
  }

  /** The number of streams that hold a key; of all streams without one. */
  count(key: string = ALL): number {
    return this.#pools.of(key)?.size ?? 0;
  }

  /** Numbers of this worker, now. */
  get stats(): SseStats {
    let unsentBytes = 0;
    for (const connection of this.#pools.all) unsentBytes += connection.unsentBytes;
    const { messages, bytes, mailMessages, mailBytes, runMessages, runBytes } = this.#log.size;
    return {
      connections: this.#pools.all.size,
      pools: this.#pools.size,
      unsentBytes,
      historyMessages: messages,
      historyBytes: bytes,
      mailMessages,
      mailBytes,
      runMessages,
      runBytes,
    };
  }

  /** Ends the streams that hold a key, all streams without one; returns how many. */
  close(key: string = ALL): number {
    const streams = [...(this.#pools.of(key) ?? [])];
    for (const connection of streams) connection.close('closed');
    return streams.length;
  }

  /** Does an act of all processes, in its place in the order. */
  #perform({ body, nonce }: Message, act: Act, position: Position | undefined): void {
    const { mailboxes } = this.#log;
    if (act.do === 'take') {
      // It needs no entry: a process that missed it is handed the mail that still waits.
      if (position !== undefined) this.#log.arrive(position);
      for (const { key, cursors } of act.taken) for (const cursor of cursors) mailboxes.onTaken(key, cursor);
      for (const { key, cursor } of act.told) mailboxes.onTold(key, cursor);
      return;
    }
    // An act has a place in the order, and so an entry; without keys, no stream reads it.
    this.#log.append({ keys: [], body, nonce, act }, position);
    this.#pump.mark();
    this.#rights.perform(act);
  }
}
