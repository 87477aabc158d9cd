import type { Position } from './cursor';
import type { Reach } from '../message/reach';

/**
 * What every process in reach is to do, in its place in the order. Plain JSON. It is no message: nobody hears it, and a
 * process that was away does it when it has caught up.
 */
export type Act =
  /** End the connections that hold one of the keys. */
  | { readonly do: 'disconnect'; readonly keys: readonly string[]; readonly reason: string }
  /** Ask the app's authorizer again about the connections that hold one of the keys. */
  | { readonly do: 'reauthorize'; readonly keys: readonly string[] }
  /** Wait no longer with messages that were taken from mailboxes, nor to tell what was lost of them. */
  | {
      readonly do: 'take';
      readonly taken: readonly { readonly key: string; readonly cursors: readonly string[] }[];
      readonly told: readonly { readonly key: string; readonly cursor: string }[];
    };

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
  /** What is to be done, instead of a message: it has no keys and no body then. */
  readonly act?: Act | undefined;
  /** What its publisher will ask by who took it, if it will. */
  readonly confirm?: string | undefined;
  /** What part it is of the run that its one key names. */
  readonly run?: RunPart | undefined;
}

/** A message as a process delivers it. */
export interface Message extends Draft {
  /** What its publisher knows it by, until it hears of it. */
  readonly nonce?: string | undefined;
  /** ms since it was published, of a message that waits in a mailbox and is handed on. */
  readonly age?: number | undefined;
}

/** A message with its place in an epoch that goes without saying. */
export interface PlacedMessage extends Message {
  readonly seq: number;
}

/** The order so far, as one process hands it to another. */
export interface Handover {
  /** The newest place. */
  readonly position: Position;
  /** What is no longer kept. */
  readonly losses: Losses;
  /** What is kept, in order. */
  readonly messages: Iterable<PlacedMessage>;
  /** What of it waits in mailboxes. */
  readonly mail: Mail;
}

/** A process's copy of the order, which its broker fills. */
export interface Replica {
  /** The newest place it has; `undefined` before it has entered an order. */
  readonly position: Position | undefined;
  /** Enters an epoch of the order, or takes it up again after a break: says what is lost; what is kept is delivered next. */
  enter(epoch: string, losses: Losses): void;
  /** Takes the next message, of this place in the order; without one it is live only. Never throws. */
  deliver(message: Message, position: Position | undefined): void;
  /** Keeps of the mail that it was handed what still waits: the rest was taken. */
  keepWaiting(mail: Mail): void;
  /** Says that everything up to a place has been delivered or is lost. */
  arrive(position: Position): void;
  /** Says whether it follows the order, or has lost sight of it for a while. */
  follow(inSight: boolean): void;
  /** What it has of the present epoch after a place. */
  handover(seq: number): Handover;
  /** Answers what some process asks of every process, in plain JSON. */
  answer(question: Question): Promise<unknown>;
}

/** What a process may ask of every process, in plain JSON. */
export type Question =
  /** How many connections hold a key. */
  | { readonly count: string }
  /** How many connections took a message, by its `confirm`; null: it has not arrived. */
  | { readonly took: string }
  /** Which of some runs, by their keys, it produces. */
  | { readonly runs: readonly string[] }
  /** How many streams a user has, those that are asked for by earlier tickets included. */
  | { readonly slots: string; readonly ticket: Ticket };

/** What they answered, and whether all of them did in time. */
export interface Poll {
  readonly answers: readonly unknown[];
  readonly complete: boolean;
}

/** Carries messages to every process in its range, in one order. */
export interface Broker {
  /** Hands the replica the backlog still held, then each message as it comes. Resolves when live. */
  start(replica: Replica): Promise<void>;
  /** Orders the draft and hands it on, so far. Resolves with its place once ordered, not once clients have it. */
  publish(draft: Draft, reach: Reach): Promise<Position>;
  /** Resolves when the replica has all that was ordered before this call; false when that cannot be known in time. */
  catchUp(): Promise<boolean>;
  /** Asks every process in reach, this one too; what does not answer in time is left out. */
  ask(question: Question, reach: Reach): Promise<Poll>;
  /** Stops delivering and frees connections. Safe to call twice. */
  stop(): Promise<void>;
}

/** What a log has lost: of some keys, and at most of all the others. */
export interface Losses {
  readonly keys: readonly { readonly key: string; readonly seq: number; readonly reason: LossReason }[];
  readonly others: { readonly seq: number; readonly reason: LossReason } | undefined;
}

/** Nothing is lost. */
export const NO_LOSSES: Losses = { keys: [], others: undefined };

/**
 * Why something is no longer kept: it grew older than `history.age` (`expired`); `history.count` or `history.bytes`, or
 * the most messages that Redis keeps, was reached (`evicted`); Redis itself lost it (`lost`).
 */
export type LossReason = 'expired' | 'evicted' | 'lost';

/** What waits in the mailboxes, of an epoch's places from `first` to `last`. Plain JSON. */
export interface Mail {
  readonly epoch: string;
  readonly first: number;
  readonly last: number;
  readonly waiting: readonly { readonly key: string; readonly seqs: readonly number[] }[];
  /** By mailbox, the newest message that was lost before anyone took it, as long as nobody was told. */
  readonly lost: readonly { readonly key: string; readonly seq: number; readonly reason: LossReason }[];
}

/** Who asks for a seat, and when: what decides who comes first. */
export interface Ticket {
  /** Grows with each ticket that this process gives or hears of. */
  readonly time: number;
  readonly process: string;
}

/** What part of a run a message is. Plain JSON. */
export interface RunPart {
  /** `start`: nobody hears it; `text`: a piece that may be joined with its neighbours; `end`: nothing comes after it. */
  readonly is: 'start' | 'text' | 'event' | 'end';
  /** Of a start, the place up to which whoever starts it knows of no such run. */
  readonly since?: string | undefined;
}
