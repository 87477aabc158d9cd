import type { Latest } from './lease';

/** What was published last, by schedule. */
export class Published {
  readonly #latest = new Map<string, Latest>();

  /** Takes over what others know, where it is newer. */
  learn(all: readonly (readonly [string, Latest])[]): void {
    for (const [name, latest] of all) {
      if (latest.run > (this.#latest.get(name)?.run ?? 0)) this.#latest.set(name, latest);
    }
  }

  of(name: string): Latest | undefined {
    return this.#latest.get(name);
  }

  get all(): [string, Latest][] {
    return [...this.#latest];
  }
}
