import type { Poll, Message, Question, Draft, PlacedMessage, Mail, Losses, Handover } from '../../order/broker';
import type { Numbered } from '../outbox';

/** What an app worker says to the agent. `worker` is its name, which no other process ever has. */
export interface ToAgent {
  /** It wants to be live, from its place on if that is of the agent's epoch. */
  join: { worker: string; attempt: number; epoch: string | undefined; seq: number };
  /** Its drafts, in the order of their numbers, for the agent's life `session`. */
  drafts: { worker: string; session: string; drafts: readonly NumberedDraft[] };
  /** It is live, at this place; `heard` is the number of its newest draft that it heard of. */
  state: { worker: string; session: string; epoch: string; seq: number; heard: number };
  /** Its history, for an agent that has none. */
  history: { worker: string; session: string; part: HistoryPart };
  /** It wants to hear back once all that was ordered until now is on its way. */
  catchUp: { worker: string; request: number };
  /** It wants every worker asked. */
  ask: { worker: string; request: number; question: Question };
  /** Its answer to a question. */
  answer: { worker: string; poll: number; answer: unknown };
}

/** What the agent says to one worker or to all. */
export interface ToWorkers {
  /** A new agent asks who is there. */
  who: { session: string };
  /** It orders from now on, after this place. */
  ready: { session: string; epoch: string; seq: number };
  /** Messages of consecutive places, from `seq` on. */
  order: { epoch: string; seq: number; messages: readonly Message[] };
  /** What a worker that joins has missed. */
  backlog: { session: string; attempt: number; part: HistoryPart };
  /** It wants the worker's history. */
  fetch: { session: string };
  caughtUp: { request: number };
  question: { poll: number; question: Question };
  poll: { request: number; poll: Poll };
}

/** A draft as it crosses the channel. */
export type NumberedDraft = Numbered<Draft>;

/** A history is handed over in parts, so that no message between processes is huge. */
export interface HistoryPart {
  readonly epoch: string;
  /** The newest place of all. */
  readonly seq: number;
  /** Of the first part. */
  readonly losses: Losses | undefined;
  readonly messages: readonly PlacedMessage[];
  /** Of the last part. */
  readonly mail: Mail | undefined;
  readonly last: boolean;
}
export const PART_LENGTH = 512 * 1024;

/** Cuts a history into parts, at least one. */
export function toParts({ position: { epoch, seq }, losses, messages, mail }: Handover): HistoryPart[] {
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
