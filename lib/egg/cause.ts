import type { Application } from 'egg';
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

/** What caused the code that runs, if a request or a schedule did. */
export function currentCause(app: Application): Cause | undefined {
  const ctx = app.currentContext;
  if (ctx === undefined) return undefined;
  const cause = markOf(ctx);
  if (cause !== undefined) return cause;
  // Egg runs a schedule's task in a context of its own, whose query says what schedule it is.
  return ctx.method === 'SCHEDULE' ? { kind: 'schedule', type: String(ctx.query.type) } : undefined;
}

/** Work that runs in the background, in a context of its own, has the cause of the code that starts it. */
export function inheritCause(app: Application): void {
  const { createAnonymousContext } = app;
  app.createAnonymousContext = (...args) => {
    const ctx = createAnonymousContext.apply(app, args);
    const cause = currentCause(app);
    if (cause !== undefined) mark(ctx, cause);
    return ctx;
  };
}
