/** The consequence of an answer: read it, come back later, or never. */
export type Verdict = 'open' | 'waiting' | 'closed';

const MAX_DELAY_MS = 30_000;

/** Judges an answer by its head. */
export function judge(status: number, contentType: string | null): Verdict {
  if (status === 200) return /^text\/event-stream\b/i.test(contentType ?? '') ? 'open' : 'closed';
  return status >= 500 || status === 408 || status === 429 ? 'waiting' : 'closed';
}

/** The ms before the next attempt: more after each failure, and random, so that not all clients come at once. */
export function backoff(failures: number, retry: number, random = Math.random()): number {
  // At least 100 ms: a server may have said `retry: 0`.
  return random * Math.min(MAX_DELAY_MS, Math.max(retry, 100) * 1.5 ** Math.min(failures, 50));
}

/** Parses `Retry-After` (RFC 9110, 10.2.3), seconds or a date, into ms; undefined when it is not there, or past. */
export function retryAfter(value: string | null, now = Date.now()): number | undefined {
  const wait = Number(value) * 1_000 || Date.parse(value ?? '') - now;
  // At most a day: a timer with more than 2^31 ms would fire at once.
  return wait > 0 ? Math.min(wait, 86_400_000) : undefined;
}

/** The ms without a byte after which a line is dead, by the server's `pingInterval`; undefined: never. */
export function deadAfter(pingInterval: unknown): number | undefined {
  return Number(pingInterval) > 0 ? Math.max(Number(pingInterval) * 2.5, 3_000) : undefined;
}
