import { SseError, show } from '../base/error';
import { OWN_EVENT_PREFIX } from './message';

/** What part of a run a message is. Plain JSON. */
export interface RunPart {
  /** `start`: nobody hears it; `text`: a piece that may be joined with its neighbours; `end`: nothing comes after it. */
  readonly is: 'start' | 'text' | 'event' | 'end';
  /** Of a start, the place up to which whoever starts it knows of no such run. */
  readonly since?: string | undefined;
}

/** The event that says that a run is over and has not failed. */
export const RUN_END = `${OWN_EVENT_PREFIX}end`;

const PREFIX = 'run:';
// What a URL may ask for is bounded by `maxKeyLength`, 256 unless said.
const MAX_ID_LENGTH = 200;

/** The key of a run, for `connectKey`, `count` and all else that takes keys. Throws `SseError` `ERR_SSE_RUN_ID`. */
export function run(id: string | number): string {
  if (typeof id === 'number' && Number.isFinite(id)) return `${PREFIX}${id}`;
  if (typeof id === 'string' && id !== '' && id.length <= MAX_ID_LENGTH) return `${PREFIX}${id}`;
  throw new SseError(
    'ERR_SSE_RUN_ID',
    `a run's id is ${show(id)}; it must be a non-empty string of at most ${MAX_ID_LENGTH} characters, or a number`,
  );
}

/** Whether a key is that of a run. */
export function isRunKey(key: string): boolean {
  return key.startsWith(PREFIX);
}

/** The id in the key of a run. */
export function idOf(key: string): string {
  return key.slice(PREFIX.length);
}
