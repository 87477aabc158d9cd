import { SseError } from '../base/error';
import type { SseLogger } from '../base/logger';
import { FIELDS, type SseEvent, type SseMessage } from '../message/message';
import type { PublishOptions, Receipt } from '../message/publish';
import type { Reach } from '../message/reach';
import type { SseRoute, SseTarget } from '../options/bridges';

/** The part of `app.sse` or `agent.sse` by which bridges publish. */
export interface Publishing {
  publish(key: string | readonly string[], message: SseMessage, options?: PublishOptions): Promise<Receipt>;
  publishAll(message: SseMessage, options?: PublishOptions): Promise<Receipt>;
}

/** Publishes to the connections of a target. */
export function publishTo(
  sse: Publishing,
  { key, all }: SseTarget,
  message: SseMessage,
  reach: Reach,
): Promise<Receipt> {
  return all === true ? sse.publishAll(message, { reach }) : sse.publish(key!, message, { reach });
}

// Each failure is remembered, to be said once; a sender that varies its failures must not fill the memory.
const MAX_SAID = 1_000;

/**
 * Publishes the messages that arrive at a bridge, in the order in which they arrive.
 *
 * A message that cannot be published is logged, once for each source and cause, and stops no other.
 */
export class Carrier {
  readonly #sse: Publishing;
  readonly #logger: Pick<SseLogger, 'error'>;
  readonly #said = new Set<string>();

  constructor(sse: Publishing, logger: Pick<SseLogger, 'error'>) {
    this.#sse = sse;
    this.#logger = logger;
  }

  /** `source` says in the log where `message` came from. */
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

/**
 * Makes a message of a value from elsewhere. An object with `data` and no fields but those of a message is that message.
 * Any other value is the data of one; `undefined` is a message without data.
 */
export function toMessage(arrived: unknown): SseEvent {
  if (arrived === undefined) return {};
  return isMessage(arrived) ? arrived : { data: arrived };
}

function isMessage(value: unknown): value is SseEvent {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.hasOwn(value, 'data') && Object.keys(value).every((name) => FIELDS.has(name));
}

/**
 * Makes a message of a text from elsewhere. The JSON of an object with `data` and no fields but those of a message is
 * that message. Any other text is the data of one.
 */
export function readMessage(text: string): SseEvent {
  const parsed = parse(text);
  return isMessage(parsed) ? parsed : { data: text };
}

function parse(text: string): unknown {
  // Most texts are no object's JSON: to parse them and fail would cost more than the look.
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON after all: the text itself is the data.
    return undefined;
  }
}
