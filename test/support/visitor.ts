import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import {
  type Broker,
  type Draft,
  type Message,
  type Poll,
  type Question,
  type Replica,
  NO_LOSSES,
} from '../../lib/order/broker';
import type { Position } from '../../lib/order/cursor';
import { assemble, type Parts } from '../../lib/parts';
import type { SseOptions } from '../../lib/options/options';
import { optionsWith } from './plain';

/** An answer that no socket carries: it notes what is written to it. */
class NotedResponse extends ServerResponse {
  text = '';
  /** Whether its client takes nothing more. */
  isStuck = false;

  constructor(request: IncomingMessage) {
    super(request);
    Object.defineProperty(this, 'writableLength', { get: () => (this.isStuck ? this.text.length : 0) });
  }

  override write(chunk: Buffer): boolean {
    this.text += chunk.toString();
    return !this.isStuck;
  }

  override end(chunk?: unknown): this {
    if (Buffer.isBuffer(chunk)) this.text += chunk.toString();
    if (!this.isStuck) process.nextTick(() => this.emit('close'));
    return this;
  }

  override destroy(): this {
    super.destroy();
    process.nextTick(() => this.emit('close'));
    return this;
  }
}

/** A client that a test plays, without a network. */
export class Visitor {
  readonly request: IncomingMessage;
  readonly response: NotedResponse;

  constructor(
    query = '',
    { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
  ) {
    this.request = Object.assign(new IncomingMessage(new Socket()), { url: `/stream?${query}`, method, headers });
    this.response = new NotedResponse(this.request);
  }

  /** Leaves. */
  leave(): void {
    this.response.destroy();
  }

  get events(): EventSourceMessage[] {
    const events: EventSourceMessage[] = [];
    createParser({ onEvent: (event) => void events.push(event) }).feed(this.response.text);
    return events;
  }

  /** Data of the events that are not the plugin's own. */
  get data(): string[] {
    return this.events.filter(({ event }) => event?.startsWith('sse:') !== true).map(({ data }) => data);
  }

  /** What one of the plugin's own events says, each time. */
  own(name: string): unknown[] {
    return this.events.filter(({ event }) => event === `sse:${name}`).map(({ data }) => JSON.parse(data) as unknown);
  }

  /** How often it was pinged. */
  get pings(): number {
    return this.response.text.split('\n').filter((line) => line === ': ping').length;
  }

  get isGone(): boolean {
    return this.response.destroyed;
  }
}

/** The epoch of a `HandedOrder`. */
export const EPOCH = 'abcdefgh';

/** The parts of a process whose order a test hands over, piece by piece, and whose questions it answers. */
export class InHand implements Broker {
  readonly parts: Parts;
  readonly logged: string[] = [];
  readonly refused: string[] = [];
  /** The questions that wait. */
  readonly asked: Question[] = [];
  readonly #catchUps: ((isDone: boolean) => void)[] = [];
  readonly #answers: ((poll: Poll) => void)[] = [];
  #seq = 0;

  constructor(overrides: Partial<Record<keyof SseOptions, unknown>> = {}) {
    const log = (message: string | Error): void => void this.logged.push(String(message));
    const logger = { info: log, warn: log, error: log };
    this.parts = assemble({ options: optionsWith(overrides), broker: this, logger });
    this.parts.events.on('refuse', ({ code }) => this.refused.push(code));
    const { hub } = this.parts;
    hub.enter(EPOCH, NO_LOSSES);
    hub.follow(true);
  }

  /** One that asks for a stream; what it is answered comes when it comes. */
  visit(query?: string, options?: ConstructorParameters<typeof Visitor>[1]): Visitor {
    const visitor = new Visitor(query, options);
    void this.parts.endpoint.serve(visitor.request, visitor.response);
    return visitor;
  }

  /** Delivers a message, or what is to be done. */
  deliver(message: Partial<Message>): void {
    this.parts.hub.deliver({ keys: [], body: '', ...message }, { epoch: EPOCH, seq: ++this.#seq });
  }

  /** A message that says its place. */
  say(...keys: string[]): void {
    this.deliver({ keys, body: `data: ${this.#seq + 1}\n` });
  }

  /** How many wait until all is here that was ordered. */
  get catchingUp(): number {
    return this.#catchUps.length;
  }

  /** Tells them. */
  async caughtUp(isDone = true): Promise<void> {
    for (const settle of this.#catchUps.splice(0)) settle(isDone);
    await settled();
  }

  /** Answers the oldest question that waits. */
  async answer(...answers: unknown[]): Promise<void> {
    this.asked.shift();
    this.#answers.shift()!({ answers, complete: true });
    await settled();
  }

  async start(_replica: Replica): Promise<void> {
    throw new Error('it has begun');
  }

  async publish(_draft: Draft): Promise<Position> {
    throw new Error('nobody publishes');
  }

  catchUp(): Promise<boolean> {
    return new Promise((resolve) => void this.#catchUps.push(resolve));
  }

  ask(question: Question): Promise<Poll> {
    this.asked.push(question);
    return new Promise((resolve) => void this.#answers.push(resolve));
  }

  async stop(): Promise<void> {
    await this.caughtUp(false);
  }
}

/** Resolves when everything that is under way in this process has gone as far as it can without being told. */
export async function settled(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await new Promise(setImmediate);
}
