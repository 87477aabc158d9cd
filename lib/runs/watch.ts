import type { Poll } from '../order/broker';

// A run of which messages come is alive.
const SILENT_MS = 2_000;
const AGAIN_MS = 500;
// Runs that one question may name.
const MAX_ASKED = 1_000;

const NO_POLL: Poll = { answers: [], complete: false };

/** Finds runs whose process is gone, so that their readers do not wait for more. */
export class RunWatch {
  readonly #silentRuns: (ms: number) => readonly string[];
  readonly #ask: (runs: readonly string[]) => Promise<Poll>;
  readonly #onLost: (key: string) => Promise<void>;
  /** Runs that no process claimed when all were asked last. */
  #missing: ReadonlySet<string> = new Set();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #asking = false;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** `silentRuns`: the unfinished runs that are read here and of which no message came for so many ms. */
  constructor(parts: {
    silentRuns(ms: number): readonly string[];
    ask(runs: readonly string[]): Promise<Poll>;
    onLost(key: string): Promise<void>;
  }) {
    this.#silentRuns = parts.silentRuns;
    this.#ask = parts.ask;
    this.#onLost = parts.onLost;
  }

  /** Looks for lost runs when it is time, and `soon` for a reader that has just come. May be called often. */
  look(soon: boolean): void {
    if (this.#asking || this.#timer !== undefined || this.#stopped) return;
    const pause = soon || this.#missing.size > 0 ? AGAIN_MS : SILENT_MS;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        void this.#look();
      },
      Math.max(0, this.#lookedAt + pause - performance.now()),
    );
    this.#timer.unref();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    this.#lookedAt = performance.now();
    const runs = this.#silentRuns(SILENT_MS);
    if (runs.length === 0 || this.#stopped) return;
    // Of more runs, a part at random is asked about: the others follow another time.
    const first = runs.length > MAX_ASKED ? Math.floor(Math.random() * (runs.length - MAX_ASKED)) : 0;
    const suspects = runs.filter((key) => this.#missing.has(key));
    const asked = [...new Set([...suspects, ...runs.slice(first)])].slice(0, MAX_ASKED);
    this.#asking = true;
    const { answers, complete } = await this.#ask(asked).catch(() => NO_POLL);
    this.#asking = false;
    // A process that did not answer may be the producer, and only slow: then no run counts as missing.
    const claimed = new Set((answers as readonly (readonly string[])[]).flat());
    const missing = complete ? asked.filter((key) => !claimed.has(key)) : [];
    // Missing twice: a process that has just started may not have been asked the first time.
    const lost = missing.filter((key) => this.#missing.has(key));
    this.#missing = new Set(missing.filter((key) => !lost.includes(key)));
    const isThere = new Set(this.#silentRuns(0));
    await Promise.all(lost.filter((key) => isThere.has(key)).map((key) => this.#onLost(key)));
    if (this.#missing.size > 0) this.look(true);
  }
}
