import { parseCursor } from '../../lib/order/cursor';

/** What became of a message: acknowledged, refused with an error, or unknown, since its publisher died. */
type Fate = 'acknowledged' | 'refused' | 'unknown';

interface Published {
  readonly key: string;
  fate: Fate;
}

/** What one client wrote down. */
export interface Diary {
  readonly name: string;
  readonly keys: readonly string[];
  /** In the order of arrival. */
  readonly received: { readonly text: string; readonly id: string }[];
  /** What it was told of gaps. */
  readonly gaps: string[];
}

/** What the oracle found. */
export interface Verdict {
  readonly published: number;
  readonly acknowledged: number;
  readonly deliveries: number;
  readonly lost: number;
  readonly twice: number;
  readonly outOfOrder: number;
  /** Messages nobody published, or for somebody else. */
  readonly strange: number;
  /** Gaps that were told. The history holds everything, so each is a false one. */
  readonly gaps: number;
  /** A few of the findings, for people. */
  readonly examples: readonly string[];
}

/** Knows every message that was published and what became of it; judges what clients wrote down. */
export class Oracle {
  readonly #published = new Map<string, Published>();

  /** A message is about to be published. */
  publishes(text: string, key: string): void {
    this.#published.set(text, { key, fate: 'unknown' });
  }

  settles(text: string, fate: Fate): void {
    this.#published.get(text)!.fate = fate;
  }

  get count(): number {
    return this.#published.size;
  }

  judge(diaries: readonly Diary[]): Verdict {
    const examples: string[] = [];
    const found = { deliveries: 0, lost: 0, twice: 0, outOfOrder: 0, strange: 0, gaps: 0 };
    const find = (what: 'lost' | 'twice' | 'outOfOrder' | 'strange' | 'gaps', example: string): void => {
      found[what]++;
      if (examples.length < 20) examples.push(`${what}: ${example}`);
    };
    for (const { name, keys, received, gaps } of diaries) {
      const seen = new Set<string>();
      /** By publisher, its newest message here. */
      const newest = new Map<string, number>();
      let place = { epoch: '', seq: 0 };
      const epochs = new Set<string>();
      for (const { text, id } of received) {
        found.deliveries++;
        const message = this.#published.get(text);
        if (message === undefined || !keys.includes(message.key)) find('strange', `${name} got ${text}`);
        if (seen.has(text)) find('twice', `${name} got ${text} again at ${id}`);
        seen.add(text);
        const position = parseCursor(id);
        const isBack = position !== undefined && position.epoch !== place.epoch && epochs.has(position.epoch);
        if (position === undefined || isBack || (position.epoch === place.epoch && position.seq <= place.seq)) {
          find('outOfOrder', `${name} got ${text} at ${id}, after ${place.epoch}-${place.seq}`);
        }
        place = position ?? place;
        epochs.add(place.epoch);
        // What was not acknowledged may be on its way while its publisher goes on in another worker.
        if (message?.fate !== 'acknowledged') continue;
        const [publisher = '', number] = text.split('.');
        if (Number(number) <= (newest.get(publisher) ?? -1)) find('outOfOrder', `${name} got ${text} late`);
        newest.set(publisher, Number(number));
      }
      for (const [text, { key, fate }] of this.#published) {
        if (fate === 'acknowledged' && keys.includes(key) && !seen.has(text)) find('lost', `${name} never got ${text}`);
      }
      for (const gap of gaps) find('gaps', `${name} was told ${gap}`);
    }
    const acknowledged = [...this.#published.values()].filter(({ fate }) => fate === 'acknowledged').length;
    return { published: this.#published.size, acknowledged, ...found, examples };
  }
}
