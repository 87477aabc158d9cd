import { readFileSync } from 'node:fs';
import { join } from 'node:path';

// The scripts that Redis runs in one step, in Lua, for schedules of several hosts. Each says what its KEYS and ARGV
// are.
//
// A lease is a key that lapses by itself; it holds the token of the host that runs the schedule. The hash `runs` holds
// the newest run of each schedule that began: its number is the time in µs, so that it grows even when Redis has lost
// everything. The hash `fences` holds the newest run that came to an end, and its result's digest; the script that
// orders messages reads and writes it, too.

/** Takes a lease that is free, or keeps it, and begins a run. */
export const BEGIN = read('begin');

/** Keeps leases. */
export const RENEW = read('renew');

/** Gives leases back. */
export const RELEASE = read('release');

/** Says whether a result is to be published. */
export const JUDGE = read('judge');

function read(name: string): string {
  return readFileSync(join(__dirname, 'lua', `${name}.lua`), 'utf8');
}
