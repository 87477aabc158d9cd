import { setTimeout as pause } from 'node:timers/promises';
import type { SseLogger } from '../base/logger';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** A session that is run again and again. */
export interface Supervision {
  /** Ends the session for good. Resolves when it is over. */
  stop(): Promise<void>;
}

/**
 * Runs a session with a server again and again, until it is stopped: after each failure it waits, twice as long each
 * time up to 5 s, less some jitter, so that a server that returns is not overrun by all at once.
 *
 * The log gets one line when the server goes and one when it is back. `session` calls `up` once it serves, and rejects
 * when it no longer does; it must end soon after `signal` is aborted.
 */
export function supervise(
  name: string,
  session: (up: () => void, signal: AbortSignal) => Promise<void>,
  logger: Pick<SseLogger, 'info' | 'warn'>,
): Supervision {
  const stopping = new AbortController();
  const { signal } = stopping;
  let isAway = false;
  let longest = FIRST_PAUSE_MS;
  const up = (): void => {
    longest = FIRST_PAUSE_MS;
    if (isAway) logger.info(`${name} is back`);
    isAway = false;
  };
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      try {
        await session(up, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!isAway) logger.warn(`${name} is away, trying again until it is back: ${(error as Error).message}`);
        isAway = true;
      }
      // A pause rejects only when it is aborted.
      await pause(longest * (0.5 + 0.5 * Math.random()), undefined, { signal, ref: false }).catch(() => undefined);
      longest = Math.min(LONGEST_PAUSE_MS, 2 * longest);
    }
  };
  const running = run();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
