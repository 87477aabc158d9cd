import type { History, PlacedMessage } from '../order/broker';
import type { Entry } from './entry';
import type { Log } from './reader';
import { mailboxesOf } from '../message/keys';
import type { SseMailbox } from '../options/options';

/** What a log has of the present epoch after a place, for a process that has not. */
export function historyOf(log: Log, seq: number, mailbox: SseMailbox | false): History {
  return {
    position: log.place!,
    losses: log.losses,
    messages: {
      *[Symbol.iterator]() {
        for (const entry of log.since(seq)) yield toMessage(entry, mailbox);
      },
    },
    mail: log.mail,
  };
}

function toMessage(entry: Entry, mailbox: SseMailbox | false): PlacedMessage {
  const { keys, body, id, event, nonce, act, run, seq, appendedAt } = entry;
  if (act !== undefined) return { keys, body, nonce, act, seq };
  const message = { keys, body, id, event, nonce, run, seq };
  if ((entry.waits ?? entry.heldFor) === undefined) return message;
  const age = Math.round(performance.now() - appendedAt);
  if (run !== undefined || mailbox === false) return { ...message, age };
  // Its other keys have lost it.
  return { ...message, keys: entry.heldFor === undefined ? keys : mailboxesOf(mailbox, keys), age };
}
