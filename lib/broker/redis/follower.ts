import { type Act, NO_LOSSES, type Losses, type LossReason, type Replica, type RunPart } from '../../order/broker';
import type { Position } from '../../order/cursor';
import { isBefore, toId, toPlace, toPosition, type Place } from './place';
import type { StreamEpoch, KeyPlace, Store, StreamEntry, Survey } from './store';
import { Witness, type Testimony } from './witness';

// The most publishers whose newest number is remembered.
const MAX_PUBLISHERS = 4_096;

/**
 * Fills the replica of a process from the order in Redis: entry by entry, and past what Redis no longer has, which it
 * reports as lost.
 */
export class Follower {
  readonly #replica: Replica;
  readonly #worker: string;
  readonly #host: string;
  readonly #serves: boolean;
  readonly #hasMailboxes: boolean;
  readonly #onOwn: (number: number, position: Position) => void;
  #place: Place | undefined;
  readonly #witness = new Witness();
  /** By publisher, the number of its newest message that was delivered here. */
  readonly #numbers = new Map<string, number>();
  #isInSight = false;
  #arrivals: (() => void)[] = [];

  /** `onOwn` is called when a message that this process has published comes back: with its number and its place. */
  constructor(
    replica: Replica,
    options: {
      worker: string;
      host: string;
      serves: boolean;
      hasMailboxes: boolean;
      onOwn: (number: number, position: Position) => void;
    },
  ) {
    this.#replica = replica;
    this.#worker = options.worker;
    this.#host = options.host;
    this.#serves = options.serves;
    this.#hasMailboxes = options.hasMailboxes;
    this.#onOwn = options.onOwn;
  }

  /** The newest place that this process has come to. */
  get place(): Place | undefined {
    return this.#place;
  }

  /** The newest messages that this process has heard; undefined before it has entered the order. */
  get testimony(): Testimony | undefined {
    return this.#place === undefined ? undefined : this.#witness.testify(this.#place);
  }

  /** Says whether this process follows the order, or has lost sight of it for a while. */
  follow(inSight: boolean): void {
    this.#isInSight = inSight;
    this.#replica.follow(inSight);
    if (!inSight) this.#callArrivals();
  }

  /** Reads the order up to a place. Returns the id after which to read on. */
  async catchUp(store: Store, at: Place): Promise<string> {
    // A process without connections needs no past.
    if (!this.#serves && this.#place === undefined) this.#begin(at);
    let id = this.#place === undefined ? '0-0' : toId(this.#place);
    for (;;) {
      const { order = [] } = await store.read({ order: id });
      for (const entry of order) await this.accept(store, entry);
      id = order.at(-1)?.id ?? id;
      if (order.length === 0 || (this.#place !== undefined && !isBefore(this.#place, at))) break;
    }
    // Places at the end that have no entry any more are lost.
    await this.#advance(store, { term: at.term, seq: at.seq + 1 });
    if (this.#hasMailboxes) await this.#keepWaiting(store, at);
    return id;
  }

  /** Accepts the next entry of the order. */
  async accept(store: Store, { id, fields }: StreamEntry): Promise<void> {
    const place = toPlace(id);
    await this.#advance(store, place);
    this.#place = place;
    const { n: nonce = '', b: body, k, e: event, i: ownId, h: host = '', a, c: confirm, w } = fields;
    const run = runOf(fields);
    const dot = nonce.lastIndexOf('.');
    const publisher = nonce.slice(0, dot);
    const number = Number(nonce.slice(dot + 1));
    const position = toPosition(place);
    const keys = k === undefined ? [] : (JSON.parse(k) as string[]);
    this.#witness.hear(place.seq, host, keys);
    if (body !== undefined && this.#concerns(host) && this.#isNew(publisher, number)) {
      const act = a === undefined ? undefined : (JSON.parse(a) as Act);
      this.#replica.deliver({ keys, body, event, id: ownId, nonce, act, confirm, run }, position);
    } else {
      this.#replica.arrive(position);
    }
    if (w !== undefined) this.#learn(JSON.parse(w) as Testimony);
    if (publisher === this.#worker) this.#onOwn(number, { ...position });
    this.#callArrivals();
  }

  /** Resolves when this process has come to a place; false when it has lost sight of the order. */
  arrival(place: Place): Promise<boolean> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!this.#isInSight) resolve(false);
        else if (this.#place !== undefined && !isBefore(this.#place, place)) resolve(true);
        else this.#arrivals.push(check);
      };
      check();
    });
  }

  #callArrivals(): void {
    if (this.#arrivals.length === 0) return;
    const checks = this.#arrivals;
    this.#arrivals = [];
    for (const check of checks) check();
  }

  /** Whether a message is new here. A publisher sends it again when Redis has lost it after some have heard it. */
  #isNew(publisher: string, number: number): boolean {
    const newest = this.#numbers.get(publisher) ?? 0;
    // Publishers stand in the order in which they were heard: the first is silent for longest.
    this.#numbers.delete(publisher);
    this.#numbers.set(publisher, Math.max(newest, number));
    if (this.#numbers.size > MAX_PUBLISHERS) this.#numbers.delete(this.#numbers.keys().next().value!);
    return number > newest;
  }

  /** Comes to just before a place: through the epochs in between, and past messages that the store no longer has. */
  async #advance(store: Store, { term, seq }: Place): Promise<void> {
    if (this.#place?.term === term && this.#place.seq === seq - 1) return;
    const archived = this.#serves ? await store.archived(this.#place ?? { term: 0, seq: 0 }, { term, seq }) : [];
    // Another epoch may have lower places than the present one.
    const survey = await store.survey(this.#place?.term === term ? this.#place.seq : 0);
    if (this.#place?.term !== term) {
      for (const epoch of withArchived(survey.epochs, archived)) {
        const { term: each, first, last = 0, seen = 0 } = epoch;
        if (each > term || (this.#place !== undefined && each < this.#place.term)) continue;
        const isNew = this.#place?.term !== each;
        if (isNew) this.#begin({ term: each, seq: first - 1 });
        if (each === term) continue;
        this.#pass(last, survey);
        this.#deliverArchived(archived, each);
        // Of an epoch that this process never was in, all up to `seen` counts as lost: no witness will tell it more. Of
        // its own last epoch, a witness tells which keys have lost something (`#learn`).
        if (isNew) this.#lose({ keys: [], others: { seq: seen, reason: 'lost' } });
      }
      if (this.#place?.term !== term) this.#begin({ term, seq: seq - 1 });
    }
    this.#pass(seq - 1, survey);
    this.#deliverArchived(archived, term);
  }

  /** Delivers the messages of an epoch that have left the order but are kept for mailboxes or runs. */
  #deliverArchived(archived: readonly StreamEntry[], epoch: number): void {
    for (const { id, fields } of archived) {
      const place = toPlace(id);
      const { n: nonce, b: body, e: event, i: ownId, h: host = '', k = '[]', m = '[]', t } = fields;
      if (place.term !== epoch || body === undefined || !this.#concerns(host)) continue;
      const run = runOf(fields);
      const keys = JSON.parse(run === undefined ? m : k) as string[];
      const age = Math.max(0, Date.now() - Number(t));
      this.#replica.deliver({ keys, body, event, id: ownId, nonce, run, age }, toPosition(place));
    }
    this.#replica.arrive(toPosition(this.#place!));
  }

  /** Says which mail waits, of all places that this store has given; of others it cannot know. */
  async #keepWaiting(store: Store, at: Place): Promise<void> {
    const { waiting, unread, evicted } = await store.mail(at);
    const { epochs } = await store.survey(at.seq);
    for (const { term, first, last = term === at.term ? at.seq : 0 } of epochs) {
      const places = new Map<string, number[]>();
      for (const [place, key] of waiting) {
        if (place.term === term) places.set(key, [...(places.get(key) ?? []), place.seq]);
      }
      const lost = this.#concerning(unread, first - 1).filter(({ seq }) => seq <= last);
      this.#replica.keepWaiting({
        epoch: toPosition({ term, seq: 0 }).epoch,
        first,
        last,
        waiting: [...places].map(([key, seqs]) => ({ key, seqs })),
        lost: lost.map(({ key, seq }) => ({ key, seq, reason: seq <= evicted ? 'evicted' : 'expired' })),
      });
    }
  }

  #begin(place: Place): void {
    if (this.#place !== undefined) this.#witness.end(this.#place);
    this.#place = place;
    const position = toPosition(place);
    this.#replica.enter(position.epoch, NO_LOSSES);
    this.#replica.arrive(position);
  }

  /** Passes over messages that are gone, up to a place of this epoch. */
  #pass(to: number, { trimmed, evicted, lost, forgotten, latest, unlisted }: Survey): void {
    const { seq: from } = this.#place!;
    if (to <= from) return;
    const reasonAt = (seq: number): LossReason => (seq <= evicted ? 'evicted' : 'expired');
    const keys = this.#concerning(lost, from).map(({ key, seq }) => ({
      key,
      seq: Math.min(seq, to),
      reason: reasonAt(seq),
    }));
    let others = forgotten > from ? { seq: Math.min(forgotten, to), reason: reasonAt(forgotten) } : undefined;
    if (trimmed < to) {
      // Messages after `trimmed` were deleted by others, without a note: any key that has had a message since then may
      // have had one among them.
      const reason: LossReason = 'lost';
      const noted = Math.max(from, trimmed);
      keys.push(...this.#concerning(latest, noted).map(({ key, seq }) => ({ key, seq: Math.min(seq, to), reason })));
      if (unlisted > noted) others = { seq: Math.min(unlisted, to), reason };
    }
    this.#lose({ keys, others }, to);
  }

  /** Whether a message for a host, or for all of them (''), is for this one. */
  #concerns(host: string): boolean {
    return host === '' || host === this.#host;
  }

  #concerning(places: readonly KeyPlace[], after: number): KeyPlace[] {
    return places.filter(({ host, seq }) => seq > after && this.#concerns(host));
  }

  #lose(losses: Losses, to = losses.others?.seq ?? 0): void {
    const { term, seq } = this.#place!;
    if (to <= seq) return;
    this.#place = { term, seq: to };
    this.#replica.enter(toPosition(this.#place).epoch, losses);
    this.#replica.arrive(toPosition(this.#place));
  }

  /** Learns from a witness of messages that the store has lost. */
  #learn(testimony: Testimony): void {
    const losses = this.#witness.learn(testimony, (host) => this.#concerns(host));
    if (losses !== undefined) this.#replica.enter(toPosition(testimony).epoch, losses);
  }
}

function runOf({ r }: StreamEntry['fields']): RunPart | undefined {
  return r === undefined ? undefined : (JSON.parse(r) as RunPart);
}

/** The epochs, together with older ones of which only mail and runs are left. */
function withArchived(epochs: Survey['epochs'], archived: readonly StreamEntry[]): Survey['epochs'] {
  const known = new Set(epochs.map(({ term }) => term));
  const older = new Map<number, StreamEpoch>();
  for (const { id } of archived) {
    const { term, seq } = toPlace(id);
    if (!known.has(term)) older.set(term, { term, first: older.get(term)?.first ?? seq, last: seq });
  }
  return [...older.values(), ...epochs];
}
