import type { History, Message } from './broker';
import { toCursor } from './cursor';
import { bodyOf } from './event';
import type { Entry } from './entry';
import type { Log } from './log';
import { mailboxesOf, type SseMailbox } from './mailbox';

/** What a log has of the present epoch after a place, for a process that has not. */
export function historyOf(log: Log, seq: number, mailbox: SseMailbox | false): History {
  return {
    position: log.place!,
    losses: log.losses,
    messages: {
      *[Symbol.iterator]() {
        for (const entry of log.since(seq)) yield toMessage(entry, log.place!.epoch, mailbox);
      },
    },
    mail: log.mail,
  };
}

function toMessage(entry: Entry, epoch: string, mailbox: SseMailbox | false): Message {
  const { keys, frame, id, event, nonce, act, run, seq, appendedAt } = entry;
  const position = { epoch, seq };
  if (act !== undefined) return { keys, body: '', nonce, act, position };
  const body = run?.is === 'start' ? '' : bodyOf(frame, id ?? toCursor(position));
  const message = { keys, body, id, event, nonce, position, ...(run !== undefined && { run }) };
  if ((entry.waits ?? entry.heldFor) === undefined) return message;
  const age = Math.round(performance.now() - appendedAt);
  if (run !== undefined || mailbox === false) return { ...message, age };
  // Its other keys have lost it.
  return { ...message, keys: entry.heldFor === undefined ? keys : mailboxesOf(mailbox, keys), age };
}
