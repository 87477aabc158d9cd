import type { Cause } from '../message/reach';

const CAUSE = Symbol('egg-sse.cause');

/**
 * Marks the context that code runs in, at the door it comes in by, with what caused it. Egg carries the context on to
 * everything that the code starts: timers, and listeners to the end of the answer.
 */
export function mark(context: object, cause: Cause): void {
  (context as { [CAUSE]?: Cause })[CAUSE] = cause;
}

/** The cause that a context is marked with. */
export function markOf(context: object): Cause | undefined {
  return (context as { [CAUSE]?: Cause })[CAUSE];
}
