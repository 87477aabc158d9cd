import { AsyncLocalStorage } from 'node:async_hooks';
import type { Cause } from './reach';

/**
 * Marks code with its cause, at the door it comes in by; everything it starts carries the mark.
 *
 * The marks are constants: a timer that outlives its request keeps no context of it alive.
 */
export const causes = new AsyncLocalStorage<Cause>();

export const REQUEST: Cause = { kind: 'request' };
export const WORKER: Cause = { kind: 'worker' };
export const AGENT: Cause = { kind: 'agent' };
