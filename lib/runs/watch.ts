import type { Poll } from '../order/broker';

// As long as something comes of a run, it lives.
const SILENT_MS = 2_000;
const AGAIN_MS = 500;
// What one question may name.
const MAX_ASKED = 1_000;

const NO_POLL: Poll = { answers: [], complete: false };

/** Sees to it that nobody waits for more of a run when the process that produced it is gone. */
export class RunWatch {
  readonly #silentRuns: (ms: number) => readonly string[];
  readonly #ask: (runs: readonly string[]) => Promise<Poll>;
  readonly #onLost: (key: string) => Promise<void>;
  /** Runs that nobody claimed when all were asked. */
  #missing: ReadonlySet<string> = new Set();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #asking = false;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** `silentRuns` tells of which unfinished runs that are read here nothing came for so many ms. */
  constructor(parts: {
    silentRuns(ms: number): readonly string[];
    ask(runs: readonly string[]): Promise<Poll>;
    onLost(key: string): Promise<void>;
  }) {
    this.#silentRuns = parts.silentRuns;
    this.#ask = parts.ask;
    this.#onLost = parts.onLost;
  }

  /** Looks for runs that are lost, as often as it should, and `soon` for someone who has just come; often called. */
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
    // Others come next time.
    const first = runs.length > MAX_ASKED ? Math.floor(Math.random() * (runs.length - MAX_ASKED)) : 0;
    const suspects = runs.filter((key) => this.#missing.has(key));
    const asked = [...new Set([...suspects, ...runs.slice(first)])].slice(0, MAX_ASKED);
    this.#asking = true;
    const { answers, complete } = await this.#ask(asked).catch(() => NO_POLL);
    this.#asking = false;
    // Who does not answer may be the one, and only slow.
    const claimed = new Set((answers as readonly (readonly string[])[]).flat());
    const missing = complete ? asked.filter((key) => !claimed.has(key)) : [];
    // Twice: whoever has just come may not have been asked.
    const lost = missing.filter((key) => this.#missing.has(key));
    this.#missing = new Set(missing.filter((key) => !lost.includes(key)));
    const isThere = new Set(this.#silentRuns(0));
    await Promise.all(lost.filter((key) => isThere.has(key)).map((key) => this.#onLost(key)));
    if (this.#missing.size > 0) this.look(true);
  }
}
