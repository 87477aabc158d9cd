import type { Application } from 'egg';
import type { Cause } from '../message/reach';

const CAUSE = Symbol('egg-sse.cause');

/**
 * Marks the context that code runs in with its cause, at the door where the code comes in. Egg carries the context on
 * to everything that the code starts: timers, and listeners to the end of the answer.
 */
export function mark(context: object, cause: Cause): void {
  (context as { [CAUSE]?: Cause })[CAUSE] = cause;
}

/** The cause that a context is marked with. */
export function markOf(context: object): Cause | undefined {
  return (context as { [CAUSE]?: Cause })[CAUSE];
}

/** The cause of the code that runs now, if it is a request or a schedule. */
export function currentCause(app: Application): Cause | undefined {
  const ctx = app.currentContext;
  if (ctx === undefined) return undefined;
  const cause = markOf(ctx);
  if (cause !== undefined) return cause;
  // Egg runs a schedule's task in a context of its own, whose query says what schedule it is.
  return ctx.method === 'SCHEDULE' ? { kind: 'schedule', type: String(ctx.query.type) } : undefined;
}

/** Gives work in the background, which runs in a context of its own, the cause of the code that starts it. */
export function inheritCause(app: Application): void {
  const { createAnonymousContext } = app;
  app.createAnonymousContext = (...args) => {
    const ctx = createAnonymousContext.apply(app, args);
    const cause = currentCause(app);
    if (cause !== undefined) mark(ctx, cause);
    return ctx;
  };
}
