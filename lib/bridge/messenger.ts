import type { EventEmitter } from 'node:events';
import type { SseBridges, SseMessengerRoute } from '../bridge_options';
import { SseError } from '../error';
import type { SseLogger } from '../hub';
import { publishTo, toMessage, type Publishing } from './target';

// Each failure is said once; a sender that varies them must not fill the memory.
const MAX_SAID = 1_000;

/**
 * Publishes the data of messenger actions, in the agent: once per host, however many workers there are.
 *
 * Data that cannot be published is logged, once for each action and cause, and disturbs nobody.
 */
export class MessengerBridge {
  readonly #messenger: Pick<EventEmitter, 'on' | 'removeListener'>;
  readonly #sse: Publishing;
  readonly #logger: Pick<SseLogger, 'error'>;
  readonly #listeners = new Map<string, (data: unknown) => void>();
  readonly #said = new Set<string>();

  constructor(
    messenger: Pick<EventEmitter, 'on' | 'removeListener'>,
    sse: Publishing,
    logger: Pick<SseLogger, 'error'>,
  ) {
    this.#messenger = messenger;
    this.#sse = sse;
    this.#logger = logger;
  }

  /** Listens to the actions. */
  start(routes: SseBridges['messenger'] = {}): void {
    for (const [action, route] of Object.entries(routes)) {
      const listener = (data: unknown): void =>
        void this.#publish(action, typeof route === 'string' ? { key: route } : route, data);
      this.#listeners.set(action, listener);
      this.#messenger.on(action, listener);
    }
  }

  /** Listens no more. Safe to call twice. */
  stop(): void {
    for (const [action, listener] of this.#listeners) this.#messenger.removeListener(action, listener);
    this.#listeners.clear();
  }

  async #publish(
    action: string,
    { event, reach = 'host', ...target }: SseMessengerRoute,
    data: unknown,
  ): Promise<void> {
    try {
      const message = toMessage(data);
      await publishTo(this.#sse, target, event === undefined ? message : { event, ...message }, reach);
    } catch (error) {
      this.#say(action, error);
    }
  }

  #say(action: string, error: unknown): void {
    const cause = `${action} ${error instanceof SseError ? error.code : String(error)}`;
    if (this.#said.has(cause) || this.#said.size >= MAX_SAID) return;
    this.#said.add(cause);
    const text = error instanceof Error ? error.message : String(error);
    this.#logger.error(
      new Error(
        `the data of the messenger action ${JSON.stringify(action)} was not published: ${text} (this is said once)`,
        {
          cause: error,
        },
      ),
    );
  }
}
