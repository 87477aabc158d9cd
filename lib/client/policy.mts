/** What follows from an answer: read it, come back later, or never. */
export type Verdict = 'open' | 'waiting' | 'closed';

const MAX_DELAY_MS = 30_000;

/** Judges an answer by its head. */
export function judge(status: number, contentType: string | null): Verdict {
  if (status === 200) return /^text\/event-stream\b/i.test(contentType ?? '') ? 'open' : 'closed';
  return status >= 500 || status === 408 || status === 429 ? 'waiting' : 'closed';
}

/** When to come back after a number of failures in a row, in ms: longer each time, and by chance, so that not all come at once. */
export function backoff(failures: number, retry: number, random = Math.random()): number {
  // After a retry of 0 as well.
  return random * Math.min(MAX_DELAY_MS, Math.max(retry, 100) * 1.5 ** Math.min(failures, 50));
}

/** Reads `Retry-After`, seconds or a date; in ms. undefined: it says nothing, or now. */
export function retryAfter(value: string | null, now = Date.now()): number | undefined {
  const wait = Number(value) * 1_000 || Date.parse(value ?? '') - now;
  // Longer than a timer can wait is as good as a day.
  return wait > 0 ? Math.min(wait, 86_400_000) : undefined;
}

/** After how many ms without a byte a line is dead, by the server's `pingInterval`; undefined: never. */
export function deadAfter(pingInterval: unknown): number | undefined {
  return Number(pingInterval) > 0 ? Math.max(Number(pingInterval) * 2.5, 3_000) : undefined;
}
