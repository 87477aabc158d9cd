import type { Handover, PlacedMessage, Losses, Mail } from '../../order/broker';
import type { HistoryPart } from './protocol';
import type { Position } from '../../order/cursor';

const TICK_MS = 100;

/**
 * The history that a new agent takes over from a worker: up to the place from which it orders itself.
 *
 * Any worker that lives will do, also a later one, since what is newer is left out. When none is left, all that came
 * before is lost, and known to be.
 */
export class Inheritance {
  readonly #position: Position;
  readonly #candidates: string[];
  readonly #ask: (worker: string) => void;
  readonly #onDone: (history: Handover) => void;
  readonly #patience: number;
  readonly #timer: NodeJS.Timeout;
  #from: string | undefined;
  #heardAt = 0;
  #losses: Losses | undefined;
  #messages: PlacedMessage[] = [];

  /** Asks one candidate after the other; `patience` is how many ms one may be silent. */
  constructor(
    position: Position,
    candidates: readonly string[],
    options: { ask: (worker: string) => void; onDone: (history: Handover) => void; patience: number },
  ) {
    this.#position = position;
    this.#candidates = [...candidates];
    this.#ask = options.ask;
    this.#onDone = options.onDone;
    this.#patience = options.patience;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
    this.#askNext();
  }

  take(worker: string, { epoch, losses, messages, mail, last }: HistoryPart): void {
    const { seq } = this.#position;
    if (worker !== this.#from || epoch !== this.#position.epoch) return;
    this.#heardAt = performance.now();
    this.#losses ??= losses;
    for (const message of messages) if (message.seq <= seq) this.#messages.push(message);
    if (!last) return;
    const { keys = [], others } = this.#losses ?? {};
    const known = {
      keys: keys.filter((loss) => loss.seq <= seq),
      others: others === undefined || others.seq <= seq ? others : { ...others, seq },
    };
    this.#finish(known, mail ?? this.#noMail);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    if (performance.now() - this.#heardAt > this.#patience) this.#askNext();
  }

  #askNext(): void {
    this.#losses = undefined;
    this.#messages = [];
    this.#heardAt = performance.now();
    this.#from = this.#candidates.shift();
    if (this.#from !== undefined) this.#ask(this.#from);
    else this.#finish({ keys: [], others: { seq: this.#position.seq, reason: 'evicted' } }, this.#noMail);
  }

  /** Nothing is known of what waits. */
  get #noMail(): Mail {
    const { epoch, seq } = this.#position;
    return { epoch, first: seq + 1, last: seq, waiting: [], lost: [] };
  }

  #finish(losses: Losses, mail: Mail): void {
    this.stop();
    this.#onDone({ position: this.#position, losses, messages: this.#messages, mail });
  }
}
