import { setImmediate } from 'node:timers';

/**
 * A promise whose failure is told once: to the code that awaits it, or else to the log.
 *
 * Apps write `app.sse.publish(…)` without `await`; a failure then must not become an unhandledRejection, which may end
 * the process.
 */
export class LoggedPromise<T> extends Promise<T> {
  #awaited = false;

  // Promises derived from it are plain ones.
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  /** Follows a promise; a failure that nobody awaits goes to `log`. */
  static of<T>(promise: Promise<T>, log: (error: unknown) => void): LoggedPromise<T> {
    const logged = new LoggedPromise<T>((resolve, reject) => {
      promise.then(resolve, (error: unknown) => {
        // A handler of its own keeps Node from calling the rejection unhandled. It is not counted as awaiting.
        void super.prototype.then.call(logged, undefined, () => undefined);
        reject(error);
        // Code that awaits the promise has called `then` by the end of this turn.
        setImmediate(() => {
          if (!logged.#awaited) log(error);
        });
      });
    });
    return logged;
  }

  // oxlint-disable-next-line unicorn/no-thenable -- it is a promise; `then` is how it learns that it is awaited
  override then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#awaited = true;
    return super.then(onFulfilled, onRejected);
  }
}

/** Follows a promise for `ms`; if it is not settled by then, the result is what `onLate` returns or throws. */
export async function within<T>(ms: number, promise: Promise<T>, onLate: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<T>((resolve, reject) => {
    timer = setTimeout(() => {
      try {
        resolve(onLate());
      } catch (error) {
        reject(error);
      }
    }, ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
