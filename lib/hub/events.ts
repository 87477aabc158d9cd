import { EventEmitter } from 'node:events';
import { toError } from '../base/error';
import type { SseLogger } from '../base/logger';
import type { CloseReason } from '../connection/connection';
import type { Gap } from '../log/gaps';

/** The events of a worker. */
export interface SseEvents {
  /** A stream is open. */
  open: [{ keys: readonly string[]; user: string | undefined; data: unknown; resumed: boolean }];
  /** A stream is over. */
  close: [{ keys: readonly string[]; user: string | undefined; data: unknown; reason: CloseReason; openMs: number }];
  /** A message arrived and is on its way to this worker's connections. */
  deliver: [{ keys: readonly string[]; event: string | undefined; id: string | undefined; bytes: number }];
  /** A client was told that messages are lost. */
  gap: [Gap];
  /** A request for a stream was refused. */
  refuse: [{ status: number; code: string }];
}

/** Tells the app's listeners of events. A listener that throws is logged, and the others are called all the same. */
export class Events {
  readonly #emitter = new EventEmitter();
  readonly #logger: SseLogger;

  constructor(logger: SseLogger) {
    this.#logger = logger;
    // Node would warn of a leak from the eleventh on, but an app may have as many as it likes.
    this.#emitter.setMaxListeners(0);
  }

  on<E extends keyof SseEvents>(event: E, listener: (...args: SseEvents[E]) => void): void {
    this.#emitter.on(event, listener as (...args: unknown[]) => void);
  }

  off<E extends keyof SseEvents>(event: E, listener: (...args: SseEvents[E]) => void): void {
    this.#emitter.off(event, listener as (...args: unknown[]) => void);
  }

  /** Whether an event has a listener. */
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
