import type { Gap } from './gaps';
import type { Throttle } from './throttle';

/**
 * A reader of the log: the keys that it holds, and how far it has come. `read` moves it on.
 *
 * Its numbers are offsets in this process's log. They say which entries are to be read (═), here for a client that came
 * back while it was reading its mail, and was granted the key `new` later:
 *
 *                           offset       floor.offset     liveFrom    since.get('new')    head
 *     mailboxes and runs   ───┼═══════════════┼══════════════┼══════════════┼══════════════┤
 *     other keys           ───┼───────────────┼══════════════┼══════════════┼══════════════┤
 *     the key `new`        ───┼───────────────┼──────────────┼──────────────┼══════════════┤
 *     without a place      ───┼───────────────┼──────────────┼══════════════┼══════════════┤
 *
 * A key begins at its `since`, and at `offset` if it has none. A reader that has to go back, for mail or for a run,
 * gets a `since` for each of its keys: that of the other keys is `floor.offset` or more. Of a mailbox, up to
 * `mail.get(key)`, only the mail that still waits is to be read. Entries without a place in the order (reach `process`)
 * are live only; as long as the reader is not `placed`, they are all that there is to read.
 *
 * A reader that has come to the head has no `told`, `since`, `mail` and `floor` any more.
 */
export interface Reader {
  keys: readonly string[];
  /** The offset up to which it has everything. */
  offset: number;
  /** The offset from which it is live: an entry without a place in the order is to be read only after it. */
  liveFrom: number;
  /** False as long as its place in the order is not known: only entries without a place are to be read. */
  placed: boolean;
  /** By key, the offset after which the key's entries are to be read. Left out: after `offset`. */
  since: Map<string, number> | undefined;
  /** By key, the offset up to which the client was told of losses. */
  told: Map<string, number> | undefined;
  /** By mailbox, the offset up to which only the mail that still waits is to be read. */
  mail: Map<string, number> | undefined;
  /** Its place with all but the mail and the runs from before it came: offset and cursor. */
  floor: { readonly offset: number; readonly cursor: string } | undefined;
  /** Spares it messages that come too often; undefined when none of its keys is throttled. */
  throttle: Throttle | undefined;
  /** Whether each message says for which of its keys it is. Readers that differ in that do not share a `keys`. */
  showsKeys: boolean;
  /** Whether it reads one run alone, whose good end is not told. It shares its `keys` with no other reader. */
  isOfRun: boolean;
}

/** The result of a `read`: frames in order, after the gaps that come before them. */
export interface Batch {
  readonly frames: Buffer | undefined;
  readonly gaps: readonly Gap[];
  /** The cursor of the place just after the gaps; undefined without gaps. */
  readonly resumeAt: string | undefined;
  /** Whether more is there to read than fitted. */
  readonly more: boolean;
  /** Whether the run that the reader reads alone ends with it. */
  readonly isEnd: boolean;
}

/** A reader, and the gaps that it must be told of first. */
export interface Beginning {
  readonly reader: Reader;
  readonly gaps: readonly Gap[];
}

/** Whether a reader has received a message for its keys. */
export function hasReceived(
  { offset, throttle }: Reader,
  message: { readonly offset: number; readonly keys: readonly string[] },
): boolean {
  return offset >= message.offset && throttle?.hasSent(message) !== false;
}
