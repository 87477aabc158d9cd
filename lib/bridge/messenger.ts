import type { EventEmitter } from 'node:events';
import type { SseBridges } from '../options/bridges';
import type { SseLogger } from '../base/logger';
import { Carrier, toMessage, type Publishing } from './publishing';

/**
 * Publishes the data of messenger actions, in the agent: once per host, however many workers there are.
 *
 * Data that cannot be published is logged, once for each action and cause, and stops nothing else.
 */
export class MessengerBridge {
  readonly #messenger: Pick<EventEmitter, 'on' | 'removeListener'>;
  readonly #carrier: Carrier;
  readonly #listeners = new Map<string, (data: unknown) => void>();

  constructor(
    messenger: Pick<EventEmitter, 'on' | 'removeListener'>,
    sse: Publishing,
    logger: Pick<SseLogger, 'error'>,
  ) {
    this.#messenger = messenger;
    this.#carrier = new Carrier(sse, logger);
  }

  /** Listens to the actions. */
  start(routes: SseBridges['messenger'] = {}): void {
    for (const [action, route] of Object.entries(routes)) {
      const source = `the data of the messenger action ${JSON.stringify(action)}`;
      const listener = (data: unknown): void =>
        void this.#carrier.carry(source, typeof route === 'string' ? { key: route } : route, toMessage(data));
      this.#listeners.set(action, listener);
      this.#messenger.on(action, listener);
    }
  }

  /** Stops listening. Safe to call twice. */
  stop(): void {
    for (const [action, listener] of this.#listeners) this.#messenger.removeListener(action, listener);
    this.#listeners.clear();
  }
}
