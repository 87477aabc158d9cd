import { EventEmitter } from 'node:events';
import type { CloseReason } from '../connection/connection';
import { toError } from '../base/error';
import type { Gap } from '../log/gaps';
import type { SseLogger } from '../base/logger';

/** What happens in a worker. */
export interface SseEvents {
  /** A stream is open. */
  open: [{ keys: readonly string[]; user: string | undefined; data: unknown; resumed: boolean }];
  /** A stream is over. */
  close: [{ keys: readonly string[]; user: string | undefined; data: unknown; reason: CloseReason; openMs: number }];
  /** A message arrived and is on its way to this worker's connections. */
  deliver: [{ keys: readonly string[]; event: string | undefined; id: string | undefined; bytes: number }];
  /** A client was told that something is lost. */
  gap: [Gap];
  /** A request for a stream was refused. */
  refuse: [{ status: number; code: string }];
}

/** Tells the app's listeners what happens; one that throws is logged and disturbs nobody. */
export class Events {
  readonly #emitter = new EventEmitter();
  readonly #logger: SseLogger;

  constructor(logger: SseLogger) {
    this.#logger = logger;
    // Listeners are the app's: as many as it likes.
    this.#emitter.setMaxListeners(0);
  }

  on<E extends keyof SseEvents>(event: E, listener: (...args: SseEvents[E]) => void): void {
    this.#emitter.on(event, listener as (...args: unknown[]) => void);
  }

  off<E extends keyof SseEvents>(event: E, listener: (...args: SseEvents[E]) => void): void {
    this.#emitter.off(event, listener as (...args: unknown[]) => void);
  }

  /** Whether anybody listens. */
  has(event: keyof SseEvents): boolean {
    return this.#emitter.listenerCount(event) > 0;
  }

  emit<E extends keyof SseEvents>(event: E, ...args: SseEvents[E]): void {
    for (const listener of this.#emitter.listeners(event)) {
      try {
        listener(...args);
      } catch (error) {
        this.#logger.error(toError(error));
      }
    }
  }
}
