import type { Poll, Message, Question, Draft, PlacedMessage, Mail, Losses, Handover } from '../../order/broker';
import type { Numbered } from '../outbox';

/** The messages of an app worker to the agent. `worker` is its name, which no other process ever has. */
export interface ToAgent {
  /** The worker wants to be live, from its place on if that is of the agent's epoch. */
  join: { worker: string; attempt: number; epoch: string | undefined; seq: number };
  /** Its drafts, in the order of their numbers, for the agent's life `session`. */
  drafts: { worker: string; session: string; drafts: readonly NumberedDraft[] };
  /** The worker is live, at this place; `heard` is the number of its newest draft that it heard back. */
  state: { worker: string; session: string; epoch: string; seq: number; heard: number };
  /** Its history, for an agent that has none. */
  handover: { worker: string; session: string; part: HandoverPart };
  /** The worker wants an answer once all messages that have a place by now are on their way. */
  catchUp: { worker: string; request: number };
  /** A question to every worker. */
  ask: { worker: string; request: number; question: Question };
  /** The worker's answer to a question. */
  answer: { worker: string; poll: number; answer: unknown };
}

/** The messages of the agent to one worker or to all. */
export interface ToWorkers {
  /** A new agent wants the `state` of every worker. */
  who: { session: string };
  /** The agent orders from now on, after this place. */
  ready: { session: string; epoch: string; seq: number };
  /** Messages of consecutive places, from `seq` on. */
  order: { epoch: string; seq: number; messages: readonly Message[] };
  /** The history that a worker has missed which joins. */
  backlog: { session: string; attempt: number; part: HandoverPart };
  /** The agent wants the worker's `handover`. */
  fetch: { session: string };
  /** The answer to `catchUp`. */
  caughtUp: { request: number };
  /** A question to every worker, which is to `answer` under this number. */
  question: { poll: number; question: Question };
  /** The answer to `ask`. */
  poll: { request: number; poll: Poll };
}

/** A draft as it crosses the channel. */
export type NumberedDraft = Numbered<Draft>;

/** A part of a handover, which is cut so that no message between processes is huge. */
export interface HandoverPart {
  readonly epoch: string;
  /** The newest place of the whole handover. */
  readonly seq: number;
  /** The losses, in the first part only. */
  readonly losses: Losses | undefined;
  readonly messages: readonly PlacedMessage[];
  /** The mail, in the last part only. */
  readonly mail: Mail | undefined;
  readonly last: boolean;
}

export const PART_LENGTH = 512 * 1024;

/** Cuts a handover into parts, at least one. */
export function toParts({ position: { epoch, seq }, losses, messages, mail }: Handover): HandoverPart[] {
  const parts: PlacedMessage[][] = [[]];
  let length = 0;
  for (const message of messages) {
    if (length > PART_LENGTH) {
      parts.push([]);
      length = 0;
    }
    parts.at(-1)!.push(message);
    length += message.body.length;
  }
  return parts.map((part, i) => ({
    epoch,
    seq,
    losses: i === 0 ? losses : undefined,
    messages: part,
    mail: i === parts.length - 1 ? mail : undefined,
    last: i === parts.length - 1,
  }));
}
