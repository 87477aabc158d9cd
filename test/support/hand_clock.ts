interface HandTimer {
  at: number;
  readonly ring: () => void;
  /** ms after which it rings again; undefined when it does not. */
  readonly every: number | undefined;
  isRef: boolean;
}

/**
 * The monotonic clock of this process, its `setTimeout` and its `setInterval`, driven by a test: no time passes but what
 * it lets pass. Turns of the event loop go on.
 */
export class HandClock {
  now = 0;
  /** Timers that have rung. */
  rung = 0;
  readonly #timers = new Set<HandTimer>();
  readonly #now = performance.now;
  readonly #real = { setTimeout, clearTimeout, setInterval, clearInterval };

  /** For a `describe`: one that each of its tests begins with at 0. */
  static forEach(): HandClock {
    const clock = new HandClock();
    beforeEach(() => clock.start());
    afterEach(() => clock.stop());
    return clock;
  }

  start(): void {
    this.now = this.rung = 0;
    this.#timers.clear();
    performance.now = () => this.now;
    const clear = (timer: HandTimer): void => void this.#timers.delete(timer);
    Object.assign(globalThis, {
      setTimeout: (ring: () => void, ms: number) => this.#set(ring, ms),
      setInterval: (ring: () => void, ms: number) => this.#set(ring, ms, ms),
      clearTimeout: clear,
      clearInterval: clear,
    });
  }

  stop(): void {
    performance.now = this.#now;
    Object.assign(globalThis, this.#real);
  }

  /** How many timers wait. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** How many of them keep the process alive. */
  get holding(): number {
    return [...this.#timers].filter(({ isRef }) => isRef).length;
  }

  /** Lets time pass; each timer rings at its time. */
  advance(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > until) break;
      this.now = Math.max(this.now, next.at);
      this.#ring(next);
    }
    this.now = until;
  }

  /** Has the timers ring now, whatever their time: Node's own may be early by a fraction of a ms. */
  ringEarly(): void {
    const timers = [...this.#timers];
    for (const timer of timers) this.#ring(timer);
  }

  #ring(timer: HandTimer): void {
    if (timer.every === undefined) this.#timers.delete(timer);
    else timer.at += timer.every;
    this.rung++;
    timer.ring();
  }

  /** As Node's: in whole ms, one at least. */
  #set(ring: () => void, ms: number, every?: number): object {
    const timer: HandTimer = { at: this.now + Math.max(1, Math.trunc(ms)), ring, every, isRef: true };
    this.#timers.add(timer);
    return Object.assign(timer, {
      unref() {
        timer.isRef = false;
        return timer;
      },
    });
  }
}
