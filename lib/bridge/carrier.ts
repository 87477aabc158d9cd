import type { SseRoute } from '../options/bridges';
import { SseError } from '../base/error';
import type { SseEvent } from '../message/message';
import type { SseLogger } from '../base/logger';
import { publishTo, type Publishing } from './publishing';

// Each failure is said once; a sender that varies them must not fill the memory.
const MAX_SAID = 1_000;

/**
 * Publishes what arrives at the routes of a bridge, in the order it arrives.
 *
 * What cannot be published is logged, once for each source and cause, and disturbs nobody.
 */
export class Carrier {
  readonly #sse: Publishing;
  readonly #logger: Pick<SseLogger, 'error'>;
  readonly #said = new Set<string>();

  constructor(sse: Publishing, logger: Pick<SseLogger, 'error'>) {
    this.#sse = sse;
    this.#logger = logger;
  }

  /** `source` names in the log what `message` came from. */
  async carry(source: string, { event, reach = 'host', ...target }: SseRoute, message: SseEvent): Promise<void> {
    try {
      const named = event === undefined ? message : { event, ...message };
      await publishTo(this.#sse, target, named, reach);
    } catch (error) {
      this.#say(source, error);
    }
  }

  #say(source: string, error: unknown): void {
    const cause = `${source} ${error instanceof SseError ? error.code : String(error)}`;
    if (this.#said.has(cause) || this.#said.size >= MAX_SAID) return;
    this.#said.add(cause);
    const text = error instanceof Error ? error.message : String(error);
    this.#logger.error(new Error(`${source} was not published: ${text} (this is said once)`, { cause: error }));
  }
}
