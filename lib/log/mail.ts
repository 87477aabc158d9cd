import type { SseMailbox } from '../message/mailbox';
import type { LossReason } from './tail';

/** What waits in the mailboxes, of an epoch's places from `first` to `last`. Plain JSON. */
export interface Mail {
  readonly epoch: string;
  readonly first: number;
  readonly last: number;
  readonly waiting: readonly { readonly key: string; readonly seqs: readonly number[] }[];
  /** By mailbox, the newest message that was lost before anyone took it, as long as nobody was told. */
  readonly lost: readonly { readonly key: string; readonly seq: number; readonly reason: LossReason }[];
}

/** The mailboxes of a log, and who is to hear what happens to them here. */
export interface Post {
  readonly mailbox: SseMailbox;
  /** Someone who holds a mailbox took a message. */
  onTake(key: string, cursor: string): void;
  /** Someone who holds a mailbox was told of what it lost, up to a place. */
  onTell(key: string, cursor: string): void;
}
