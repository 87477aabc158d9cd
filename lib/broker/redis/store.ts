import { createHash } from 'node:crypto';
import type { Numbered } from '../outbox';
import type { StoreDraft, StoreTaken } from './draft';
import { answered, type RedisClient } from '../../redis/client';
import { isBefore, toId, toPlace, type Place } from './place';
import { APPEND, ASK, ENTER, BEAT } from './scripts';
import type { Testimony } from './witness';

/** A stream's entry: its id, and its fields. */
export interface StreamEntry {
  readonly id: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** The epochs that the store knows of, and the messages that it has let go of. A seq says how far. */
export interface Survey {
  readonly epochs: readonly StreamEpoch[];
  /** Up to here messages were let go of, and each was noted by its keys. */
  readonly trimmed: number;
  /** Up to here they were too many; after it, they were too old. */
  readonly evicted: number;
  /** By key, the newest message that was let go of, after the seq asked for; notes up to `forgotten` were dropped. */
  readonly lost: readonly KeyPlace[];
  readonly forgotten: number;
  /** By key, the newest message that was ordered, after the seq asked for; notes up to `unlisted` were dropped. */
  readonly latest: readonly KeyPlace[];
  readonly unlisted: number;
}

/** The seq of a message of a key; `host` is '' when it was for all hosts. */
export interface KeyPlace {
  readonly host: string;
  readonly key: string;
  readonly seq: number;
}

/** The mail that waits, by place and key, and by key the newest that was let go of before it was taken. */
export interface StoredMail {
  readonly waiting: readonly (readonly [place: Place, key: string])[];
  readonly unread: readonly KeyPlace[];
  /** Up to here mail was too much; after it, too old. */
  readonly evicted: number;
}

/** An epoch of the stream: the store had `first` to `last`, and some process has heard more, up to `seen`. */
export interface StreamEpoch {
  readonly term: number;
  readonly first: number;
  readonly last?: number;
  readonly seen?: number;
}

/** The bounds of the order in Redis: messages in all, and their age in ms. */
export interface StoreBounds {
  readonly count: number;
  readonly age: number;
  /** ms that mail waits; 0 without mailboxes. */
  readonly mailAge: number;
  /** ms that runs are kept; 0 when there are none. */
  readonly runAge: number;
}

/** Redis has this long to answer, in ms. */
const ANSWER_MS = 5_000;
/** The number of a publisher is kept for so long, in ms: longer than it sends a draft again. */
const NUMBER_KEPT_MS = 10 * 60_000;
/** A worker that has not beaten for so long is dead, in ms. */
const DEAD_AFTER_MS = 6_000;
const INBOX_KEPT_S = 60;
/** How many entries are read at once. */
const READ_COUNT = 500;

// A Redis that serves, but accepts nothing for now: it is full, cannot write to its disk, or lacks replicas.
const REFUSALS = /^(OOM|MISCONF|NOREPLICAS|BUSY|LOADING)\b/;

/** Whether an error says that Redis accepts nothing for now. */
export function isRefusal(error: Error): boolean {
  return REFUSALS.test(error.message);
}

/** The names of the keys that have mail and runs: the last KEYS of the scripts that trim. */
const KEPT = ['mail', 'waiting', 'done', 'unread', 'parts'] as const;

/** The streams a worker reads. */
export type StreamName = 'order' | 'questions' | 'inbox';

/** The order as it stands in Redis. Its keys share a hash tag, so that a Redis Cluster keeps them on one node. */
export class Store {
  readonly #commands: RedisClient;
  readonly #reader: RedisClient;
  readonly #bounds: StoreBounds;
  readonly #worker: string;
  readonly #prefix: string;

  /** `reader` is blocked while it waits for messages; `app` tells this app's order from others' in the same Redis. */
  constructor(
    commands: RedisClient,
    reader: RedisClient,
    options: { app: string; worker: string; bounds: StoreBounds },
  ) {
    this.#commands = commands;
    this.#reader = reader;
    this.#bounds = options.bounds;
    this.#worker = options.worker;
    this.#prefix = `{egg-sse:${options.app}}`;
  }

  /** Enters the order, with what this process knows of it. Returns its newest place, and Redis' clock in ms. */
  async enter(testimony: Testimony | undefined): Promise<{ at: Place; now: number }> {
    const [term, seq, now] = (await this.run(
      ENTER,
      ['order', 'meta'],
      [testimony?.term ?? '', testimony?.seq ?? '', JSON.stringify(testimony ?? {})],
    )) as [string, number, string];
    return { at: { term: Number(term), seq }, now: Number(now) };
  }

  /** Orders drafts in an epoch; false when that epoch is over, and the order is to be entered again. */
  async append(
    drafts: readonly Numbered<StoreDraft>[],
    of: {
      term: number;
      host(draft: StoreDraft): string;
      mailboxes(draft: StoreDraft): readonly string[];
      taken(draft: StoreDraft): StoreTaken | undefined;
    },
  ): Promise<boolean> {
    const json = (value: object | undefined): string => (value === undefined ? '' : JSON.stringify(value));
    const fields = drafts.flatMap(({ number, draft }) => [
      number,
      JSON.stringify(draft.keys),
      draft.body,
      draft.event ?? '',
      draft.id ?? '',
      of.host(draft),
      json(draft.act),
      draft.confirm ?? '',
      of.mailboxes(draft).length === 0 ? '' : json(of.mailboxes(draft)),
      json(draft.run),
      json(of.taken(draft)),
      json(draft.fence),
    ]);
    const done = await this.run(
      APPEND,
      ['order', 'meta', 'lost', 'latest', `from:${this.#worker}`, 'fences', ...KEPT],
      [this.#worker, of.term, NUMBER_KEPT_MS, ...this.#limits, ...fields],
    );
    return done === 1;
  }

  /** The newest place; undefined when there is no order. */
  async newest(): Promise<Place | undefined> {
    const [term, seq] = (await this.#call('hmget', this.#key('meta'), 'term', 'seq')) as (string | null)[];
    return term == null ? undefined : { term: Number(term), seq: Number(seq) };
  }

  /** The epochs, and the messages that were let go of after a seq. */
  async survey(after: number): Promise<Survey> {
    const fields = ['trimmed', 'evicted', 'forgotten', 'unlisted'] as const;
    const [meta, lost, latest] = (await Promise.all([
      this.#call('hmget', this.#key('meta'), 'epochs', ...fields),
      this.#call('zrangebyscore', this.#key('lost'), `(${after}`, '+inf', 'WITHSCORES'),
      this.#call('zrangebyscore', this.#key('latest'), `(${after}`, '+inf', 'WITHSCORES'),
    ])) as [(string | null)[], string[], string[]];
    const [epochs, ...places] = meta;
    const [trimmed = 0, evicted = 0, forgotten = 0, unlisted = 0] = places.map(Number);
    return {
      epochs: JSON.parse(epochs ?? '[]') as StreamEpoch[],
      trimmed,
      evicted,
      forgotten,
      unlisted,
      lost: pairs(lost).map(toKeyPlace),
      latest: pairs(latest).map(toKeyPlace),
    };
  }

  /** The entries between two places that left the order but are kept for mailboxes or runs, oldest first. */
  async archived(after: Place, before: Place): Promise<StreamEntry[]> {
    const [mail, runs] = await Promise.all([
      this.#bounds.mailAge === 0 ? [] : this.#archivedIn('mail', after, before),
      this.#bounds.runAge === 0 ? [] : this.#archivedIn('parts', after, before),
    ]);
    return mail.length === 0 || runs.length === 0 ? [...mail, ...runs] : [...mail, ...runs].sort(byPlace);
  }

  async #archivedIn(stream: 'mail' | 'parts', after: Place, before: Place): Promise<StreamEntry[]> {
    const entries: StreamEntry[] = [];
    const end = toId({ term: before.term, seq: before.seq - 1 });
    for (let { term, seq } = after; ;) {
      const start = toId({ term, seq: seq + 1 });
      const found = await this.#call('xrange', this.#key(stream), start, end, 'COUNT', READ_COUNT);
      const more = (found as [string, string[]][]).map(toEntry);
      entries.push(...more);
      if (more.length < READ_COUNT) return entries;
      ({ term, seq } = toPlace(more.at(-1)!.id));
    }
  }

  /** The mail up to a place. */
  async mail({ seq }: Place): Promise<StoredMail> {
    const [waiting, unread, [evicted]] = (await Promise.all([
      this.#call('zrangebyscore', this.#key('waiting'), '-inf', seq),
      this.#call('zrangebyscore', this.#key('unread'), '-inf', seq, 'WITHSCORES'),
      this.#call('hmget', this.#key('meta'), 'mailEvicted'),
    ])) as [string[], string[], [string | null]];
    return {
      waiting: waiting.map((member) => {
        const end = member.indexOf('\n');
        return [toPlace(member.slice(0, end)), member.slice(end + 1)];
      }),
      unread: pairs(unread).map(toKeyPlace),
      evicted: Number(evicted),
    };
  }

  /** Says that this worker lives, and lets go of messages that are too old. */
  async beat(): Promise<void> {
    await this.run(BEAT, ['order', 'meta', 'lost', 'workers', ...KEPT], [this.#worker, ...this.#limits]);
  }

  /** Asks all workers that live, and returns their names. */
  async ask(question: object): Promise<string[]> {
    return (await this.run(ASK, ['workers', 'questions'], [JSON.stringify(question), DEAD_AFTER_MS])) as string[];
  }

  /** Answers a worker. */
  async answer(worker: string, answer: object): Promise<void> {
    const inbox = this.#key(`inbox:${worker}`);
    await this.#call('xadd', inbox, '*', 'a', JSON.stringify(answer));
    await this.#call('expire', inbox, INBOX_KEPT_S);
  }

  /** Says that this worker is gone. */
  async leave(): Promise<void> {
    await this.#call('zrem', this.#key('workers'), this.#worker);
  }

  /**
   * Reads the entries after ids; with `block`, waits up to so many ms until there are some.
   *
   * Rejects when Redis does not answer for much longer than that.
   */
  async read(
    after: Partial<Readonly<Record<StreamName, string>>>,
    block?: number,
  ): Promise<Partial<Record<StreamName, StreamEntry[]>>> {
    const names = Object.keys(after) as StreamName[];
    const blocking = block === undefined ? [] : ['block', block];
    const streams = names.map((name) => this.#key(name === 'inbox' ? `inbox:${this.#worker}` : name));
    const ids = names.map((name) => after[name]!);
    const answer = (await answered(
      ANSWER_MS + (block ?? 0),
      this.#reader.call('xread', 'count', READ_COUNT, ...blocking, 'streams', ...streams, ...ids),
    )) as [string, [string, string[] | null][]][] | null;
    const found: Partial<Record<StreamName, StreamEntry[]>> = {};
    for (const [key, entries] of answer ?? []) {
      const name = names.find((_, i) => key.endsWith(streams[i]!))!;
      found[name] = entries
        // An entry that was deleted meanwhile has no fields.
        .filter((entry): entry is [string, string[]] => entry[1] !== null)
        .map(toEntry);
    }
    return found;
  }

  /** Runs a script in one step, with keys of these names beside those of the order. */
  async run(script: string, names: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const keys = names.map((name) => this.#key(name));
    try {
      return await this.#call('evalsha', sha(script), keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error as Error).message.startsWith('NOSCRIPT')) throw error;
      return this.#call('eval', script, keys.length, ...keys, ...args);
    }
  }

  /** The bounds, as the scripts want them. */
  get #limits(): number[] {
    const { count, age, mailAge, runAge } = this.#bounds;
    return [count, age, mailAge, runAge];
  }

  #key(name: string): string {
    return `${this.#prefix}:${name}`;
  }

  #call(command: string, ...args: (string | number)[]): Promise<unknown> {
    return answered(ANSWER_MS, this.#commands.call(command, ...args));
  }
}

const shas = new Map<string, string>();

/** The name that Redis gives a script. */
function sha(script: string): string {
  let name = shas.get(script);
  if (name === undefined) shas.set(script, (name = createHash('sha1').update(script).digest('hex')));
  return name;
}

function toKeyPlace([member, seq]: readonly [string, string]): KeyPlace {
  const end = member.indexOf('\n');
  return { host: member.slice(0, end), key: member.slice(end + 1), seq: Number(seq) };
}

function toEntry([id, fields]: readonly [string, string[]]): StreamEntry {
  return { id, fields: Object.fromEntries(pairs(fields)) };
}

/** Compares entries of two streams, which have no place in common: one that leaves the order goes to one of them. */
function byPlace(a: StreamEntry, b: StreamEntry): number {
  return isBefore(toPlace(a.id), toPlace(b.id)) ? -1 : 1;
}

function pairs(flat: readonly string[]): [string, string][] {
  const found: [string, string][] = [];
  for (let i = 0; i < flat.length; i += 2) found.push([flat[i]!, flat[i + 1]!]);
  return found;
}
