import type { SseMailbox } from '../options/options';

/** The mailboxes of a log, and who is to hear what happens to them here. */
export interface Post {
  readonly mailbox: SseMailbox;
  /** Someone who holds a mailbox took a message. */
  onTake(key: string, cursor: string): void;
  /** Someone who holds a mailbox was told of what it lost, up to a place. */
  onTell(key: string, cursor: string): void;
}
