import { SseError, show } from '../base/error';

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
