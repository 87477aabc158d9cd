import type { Reach } from '../message/reach';
import type { Position } from './cursor';

/** Carries messages to every process in its range, in one order. */
export interface Broker {
  /** Hands the replica the backlog that is kept, then each message as it comes. Resolves when it is live. */
  start(replica: Replica): Promise<void>;
  /** Orders a draft and hands it to the processes in reach. Resolves with its place, not when clients have it. */
  publish(draft: Draft, reach: Reach): Promise<Position>;
  /** Resolves when the replica has all that was ordered before this call; false when that cannot be known in time. */
  catchUp(): Promise<boolean>;
  /** Asks every process in reach, this one too. An answer that does not come in time is left out. */
  ask(question: Question, reach: Reach): Promise<Poll>;
  /** Stops delivering and frees connections. Safe to call twice. */
  stop(): Promise<void>;
}

/** A process's copy of the order, which its broker fills. */
export interface Replica {
  /** The newest place it has; `undefined` before it has entered an order. */
  readonly position: Position | undefined;
  /** Enters an epoch of the order, or comes back to it, with its losses. Messages that are kept are delivered next. */
  enter(epoch: string, losses: Losses): void;
  /** Delivers the next message, of this place in the order; without a place it is live only. Never throws. */
  deliver(message: Message, position: Position | undefined): void;
  /** Keeps, of the mail that was delivered, what still waits: the rest was taken. */
  keepWaiting(mail: Mail): void;
  /** Says that everything up to a place has been delivered or is lost. */
  arrive(position: Position): void;
  /** Says whether the process follows the order, or has lost sight of it for a while. */
  follow(inSight: boolean): void;
  /** The present epoch after a place, as this process has it. */
  handover(seq: number): Handover;
  /** Answers a question that a process asks of every process, in plain JSON. */
  answer(question: Question): Promise<unknown>;
}

/** A message on its way into the order. Plain JSON: it crosses processes. */
export interface Draft {
  /** The keys it is for; a connection that holds any of them gets it once. */
  readonly keys: readonly string[];
  /** Its encoded fields, all but the id. */
  readonly body: string;
  /** The publisher's own id. */
  readonly id?: string | undefined;
  /** Its event's name. */
  readonly event?: string | undefined;
  /** An act in place of a message: keys and body are empty then. */
  readonly act?: Act | undefined;
  /** The name by which its publisher will ask how many connections received it, if it will. */
  readonly confirm?: string | undefined;
  /** Its part in the run that its one key names. */
  readonly run?: RunPart | undefined;
}

/** A message as a process delivers it. */
export interface Message extends Draft {
  /** Its name for its publisher, until the publisher hears of its place. */
  readonly nonce?: string | undefined;
  /** ms since it was published. Left out: it counts as published now. */
  readonly age?: number | undefined;
}

/** A message with its place in an epoch that is known from the context. */
export interface PlacedMessage extends Message {
  readonly seq: number;
}

/** The part of a run that a message is. Plain JSON. */
export interface RunPart {
  /** `start`: it is sent to no client; `text`: a piece that may be joined with its neighbours; `end`: the last part. */
  readonly is: 'start' | 'text' | 'event' | 'end';
  /** Of a start, the place up to which its publisher knows of no such run. */
  readonly since?: string | undefined;
}

/**
 * An act of every process in reach, in its place in the order. Plain JSON. It is no message: no client gets it, and a
 * process that was away does it when it has caught up.
 */
export type Act =
  /** Ends the connections that hold one of the keys. */
  | { readonly do: 'disconnect'; readonly keys: readonly string[]; readonly reason: string }
  /** Asks the app's authorizer again about the connections that hold one of the keys. */
  | { readonly do: 'reauthorize'; readonly keys: readonly string[] }
  /** Lets mail that was taken wait no longer, nor the news of mail that was lost, once a client was told. */
  | {
      readonly do: 'take';
      readonly taken: readonly { readonly key: string; readonly cursors: readonly string[] }[];
      readonly told: readonly { readonly key: string; readonly cursor: string }[];
    };

/** A question that a process may ask of every process, in plain JSON. */
export type Question =
  /** How many connections hold a key. */
  | { readonly count: string }
  /** How many connections received a message, by its `confirm`; null: it has not arrived. */
  | { readonly received: string }
  /** Which of some runs, by their keys, it produces. */
  | { readonly runs: readonly string[] }
  /** How many streams a user has, together with the slots that earlier tickets ask for. */
  | { readonly slots: string; readonly ticket: Ticket };

/** The answers to a question, and whether every process has answered in time. */
export interface Poll {
  readonly answers: readonly unknown[];
  readonly complete: boolean;
}

/** The order so far, as one process hands it to another. */
export interface Handover {
  /** The newest place. */
  readonly position: Position;
  /** The losses. */
  readonly losses: Losses;
  /** The messages that are kept, in order. */
  readonly messages: Iterable<PlacedMessage>;
  /** The mail that waits among them. */
  readonly mail: Mail;
}

/** The losses of a log: of some keys, and at most of each other key. */
export interface Losses {
  readonly keys: readonly { readonly key: string; readonly seq: number; readonly reason: LossReason }[];
  readonly others: { readonly seq: number; readonly reason: LossReason } | undefined;
}

/** No losses. */
export const NO_LOSSES: Losses = { keys: [], others: undefined };

/**
 * Why something is no longer kept: it grew older than `history.age` (`expired`); `history.count` or `history.bytes`, or
 * the most messages that Redis keeps, was reached (`evicted`); Redis itself lost it (`lost`).
 */
export type LossReason = 'expired' | 'evicted' | 'lost';

/** The mail that waits, of an epoch's places from `first` to `last`. Plain JSON. */
export interface Mail {
  readonly epoch: string;
  readonly first: number;
  readonly last: number;
  readonly waiting: readonly { readonly key: string; readonly seqs: readonly number[] }[];
  /** By mailbox, the newest message that was lost before it was taken, as long as no client was told. */
  readonly lost: readonly { readonly key: string; readonly seq: number; readonly reason: LossReason }[];
}

/** A request for a slot, by a process, at a time: the earlier of two comes first. */
export interface Ticket {
  /** Grows with each ticket that this process gives or hears of. */
  readonly time: number;
  readonly process: string;
}
