import type { EventEmitter } from 'node:events';
import type { Draft, History, Message, PlacedMessage, Poll, Question, Losses, Mail } from '../order/broker';
import type { Numbered } from '../broker/outbox';

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

/**
 * One end of the channel between an app worker and the agent.
 *
 * It keeps its order; and what the agent says to all reaches every worker that lives, or none: Egg's master stands in
 * between and passes it on in one go.
 */
export interface Channel<Out, In> {
  /** To the agent; from the agent to one worker, or to all. */
  send<A extends keyof Out & string>(action: A, data: Out[A], worker?: string): void;
  /** What is said to another worker is passed over by one that gives its name. */
  on<A extends keyof In & string>(action: A, listener: (data: In[A]) => void, worker?: string): void;
  /** Listens no more. */
  close(): void;
}

/**
 * Makes a channel of whatever tells what arrives, by name, and of a way to send. Egg's messenger is both; its names are
 * shared with the app, so these begin with the plugin's. What is for one worker says so: it may reach others too.
 */
export function openChannel<Out, In>(
  arrivals: Pick<EventEmitter, 'on' | 'removeListener'>,
  send: (name: string, data: unknown, worker?: string) => void,
): Channel<Out, In> {
  const listeners: [string, (data: never) => void][] = [];
  return {
    send(action, data, worker) {
      send(`egg-sse:${action}`, worker === undefined ? data : { ...data, to: worker }, worker);
    },
    on(action, listener, worker) {
      const name = `egg-sse:${action}`;
      const filter = (data: { to?: string } & In[typeof action]): void => {
        if (worker === undefined || data.to === undefined || data.to === worker) listener(data);
      };
      arrivals.on(name, filter);
      listeners.push([name, filter]);
    },
    close() {
      for (const [name, listener] of listeners.splice(0)) arrivals.removeListener(name, listener as () => void);
    },
  };
}

/** The pid in a worker's name, which is where to send what is for it alone. */
export function pidOf(worker: string): string {
  return worker.slice(0, worker.indexOf('-'));
}

const PART_LENGTH = 512 * 1024;

/** Cuts a history into parts, at least one. */
export function toParts({ position: { epoch, seq }, losses, messages, mail }: History): HistoryPart[] {
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
