/** What was answered, by name, and whether all have answered who were to. */
export interface Outcome {
  readonly answers: ReadonlyMap<string, unknown>;
  readonly complete: boolean;
}

interface OpenPoll {
  readonly answers: Map<string, unknown>;
  /** Who is to answer; undefined as long as that is not known. */
  asked: readonly string[] | undefined;
  finish(complete: boolean): void;
}

/** Questions that are out: who is to answer, and what was answered. */
export class Polls {
  readonly #patience: number;
  readonly #open = new Map<number, OpenPoll>();
  #number = 0;

  /** A poll is over after `patience` ms, with the answers that have come by then. */
  constructor(patience: number) {
    this.#patience = patience;
  }

  /** Asks under a number; `ask` says who is to answer, when some may have done so. One that fails ends the poll. */
  take(ask: (poll: number) => readonly string[] | Promise<readonly string[]>): Promise<Outcome> {
    const number = ++this.#number;
    return new Promise((resolve) => {
      const open: OpenPoll = {
        answers: new Map(),
        asked: undefined,
        finish: (complete) => {
          clearTimeout(timer);
          this.#open.delete(number);
          resolve({ answers: open.answers, complete });
        },
      };
      const timer = setTimeout(() => open.finish(false), this.#patience);
      this.#open.set(number, open);
      const learn = async (): Promise<void> => {
        open.asked = await ask(number);
        finishIfAll(open);
      };
      learn().catch(() => open.finish(false));
    });
  }

  /** Takes an answer; that of a poll which is over is nobody's. */
  hear(poll: number, name: string, answer: unknown): void {
    const open = this.#open.get(poll);
    if (open === undefined) return;
    open.answers.set(name, answer);
    finishIfAll(open);
  }

  /** Ends all polls. */
  stop(): void {
    for (const { finish } of this.#open.values()) finish(false);
  }
}

function finishIfAll({ asked, answers, finish }: OpenPoll): void {
  if (asked?.every((name) => answers.has(name)) === true) finish(true);
}
