/** The answers, by name, and whether all processes that were asked have answered. */
export interface Outcome {
  readonly answers: ReadonlyMap<string, unknown>;
  readonly complete: boolean;
}

interface Waiting {
  readonly answers: Map<string, unknown>;
  /** The names of those asked; undefined as long as they are not known. */
  asked: readonly string[] | undefined;
  finish(complete: boolean): void;
}

/** Questions to other processes, each with a deadline: which of them are asked, and what they have answered. */
export class Polls {
  readonly #patience: number;
  readonly #waiting = new Map<number, Waiting>();
  #number = 0;

  /** A poll is over after `patience` ms, with the answers that have come by then. */
  constructor(patience: number) {
    this.#patience = patience;
  }

  /**
   * Sends a question under a number, and resolves when all have answered, or with what there is at the deadline.
   *
   * `send` returns the names of those it has asked; an answer may come before they are known. When it fails, the poll
   * is over.
   */
  ask(send: (poll: number) => readonly string[] | Promise<readonly string[]>): Promise<Outcome> {
    const number = ++this.#number;
    return new Promise((resolve) => {
      const poll: Waiting = {
        answers: new Map(),
        asked: undefined,
        finish: (complete) => {
          clearTimeout(timer);
          this.#waiting.delete(number);
          resolve({ answers: poll.answers, complete });
        },
      };
      const timer = setTimeout(() => poll.finish(false), this.#patience);
      this.#waiting.set(number, poll);
      const learn = async (): Promise<void> => {
        poll.asked = await send(number);
        finishIfAll(poll);
      };
      learn().catch(() => poll.finish(false));
    });
  }

  /** Hears an answer; one that comes after its poll is over is passed over. */
  hear(poll: number, name: string, answer: unknown): void {
    const waiting = this.#waiting.get(poll);
    if (waiting === undefined) return;
    waiting.answers.set(name, answer);
    finishIfAll(waiting);
  }

  /** Ends all polls, with the answers that have come. */
  stop(): void {
    for (const { finish } of this.#waiting.values()) finish(false);
  }
}

function finishIfAll({ asked, answers, finish }: Waiting): void {
  if (asked?.every((name) => answers.has(name)) === true) finish(true);
}
