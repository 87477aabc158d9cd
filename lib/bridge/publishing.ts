import type { SseTarget } from '../options/bridges';
import { FIELDS, type SseEvent, type SseMessage } from '../message/message';
import type { Reach } from '../message/reach';
import type { Receipt, PublishOptions } from '../message/publish';

/** What a bridge publishes with: `app.sse` or `agent.sse`. */
export interface Publishing {
  publish(key: string | readonly string[], message: SseMessage, options?: PublishOptions): Promise<Receipt>;
  publishAll(message: SseMessage, options?: PublishOptions): Promise<Receipt>;
}

/** Publishes to whom a target means. */
export function publishTo(
  sse: Publishing,
  { key, all }: SseTarget,
  message: SseMessage,
  reach: Reach,
): Promise<Receipt> {
  return all === true ? sse.publishAll(message, { reach }) : sse.publish(key!, message, { reach });
}

/**
 * The message of what came from elsewhere: of an object with `data` and no other fields than those of a message, that
 * very message; of anything else, one with it as data. Nothing at all is a message without data.
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
 * The message of a text from elsewhere: of the JSON of an object with `data` and no other fields than those of a message,
 * that very message; of any other text, one with it as data.
 */
export function readMessage(text: string): SseEvent {
  const parsed = parse(text);
  return isMessage(parsed) ? parsed : { data: text };
}

function parse(text: string): unknown {
  // Most texts are no objects.
  if (!/^\s*\{/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // It is a text, then.
    return undefined;
  }
}
