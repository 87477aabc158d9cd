import { readFileSync } from 'node:fs';
import { join } from 'node:path';

// The scripts that Redis runs in one step, in Lua (https://redis.io/docs/latest/develop/programmability/eval-intro/).
// The file lua/prelude.lua says how the order stands in Redis; each script says what its KEYS and ARGV are.

/** A process enters the order. */
export const ENTER = read('prelude', 'enter');

/** Orders a publisher's drafts, each once. */
export const APPEND = read('prelude', 'trim', 'append');

/** A worker says that it lives; messages that are too old go. */
export const BEAT = read('prelude', 'trim', 'beat');

/** Asks all workers that live. */
export const ASK = read('prelude', 'ask');

/** Joins files of the folder `lua` to one script. */
function read(...names: readonly string[]): string {
  return names.map((name) => readFileSync(join(__dirname, 'lua', `${name}.lua`), 'utf8')).join('\n');
}
