/** What was published last of a schedule. */
export interface Latest {
  /** The newest run whose result was published, or was the same as what had been. */
  readonly run: number;
  readonly digest: string;
}

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
