import { setImmediate } from 'node:timers';

/**
 * A promise of `publish` that tells someone of its failure: whoever awaits it, or else the log.
 *
 * People write `app.sse.publish(…)` without `await`; a failure then must not become an unhandledRejection.
 */
export class Publication<T> extends Promise<T> {
  #awaited = false;

  // Promises derived from it are plain ones.
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  /** Follows a promise; `onUnheard` hears of a failure that nobody awaits. */
  static of<T>(promise: Promise<T>, onUnheard: (error: unknown) => void): Publication<T> {
    const publication = new Publication<T>((resolve, reject) => {
      promise.then(resolve, (error: unknown) => {
        // Somebody hears of it: it is no unhandledRejection.
        void super.prototype.then.call(publication, undefined, () => undefined);
        reject(error);
        // Whoever awaits it has said so by the end of this turn.
        setImmediate(() => {
          if (!publication.#awaited) onUnheard(error);
        });
      });
    });
    return publication;
  }

  // oxlint-disable-next-line unicorn/no-thenable -- it is a promise; this is how it learns that somebody waits
  override then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.#awaited = true;
    return super.then(onFulfilled, onRejected);
  }
}

/** Follows a promise for so many ms; after that, what `onLate` returns or throws. */
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
