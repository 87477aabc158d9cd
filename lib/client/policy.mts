/** What to do after an answer: read it, come back later, ask for a new token, or never come back. */
export type Verdict = 'read' | 'retry' | 'renew' | 'close';

const MAX_DELAY_MS = 30_000;

/** Judges an answer by its head. */
export function judge(status: number, contentType: string | null): Verdict {
  if (status === 200) return /^text\/event-stream\s*(;|$)/i.test(contentType ?? '') ? 'read' : 'close';
  if (status === 401) return 'renew';
  return status >= 500 || status === 408 || status === 429 ? 'retry' : 'close';
}

/** When to come back after a number of failures in a row, in ms: longer each time, and by chance, so that not all come at once. */
export function backoff(failures: number, retry: number, random = Math.random()): number {
  // After a retry of 0 as well.
  return random * Math.min(MAX_DELAY_MS, Math.max(retry, 100) * 2 ** Math.min(failures, 16));
}

/** Reads `Retry-After`, seconds or a date; in ms. */
export function retryAfter(value: string | null, now = Date.now()): number | undefined {
  if (value === null) return undefined;
  const ms = /^\s*\d+\s*$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now;
  // Longer than a timer can wait is as good as a day.
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), 86_400_000);
}

/** After how many ms without a byte a line is dead, by the server's `pingInterval`; undefined: never. */
export function deadAfter(pingInterval: unknown): number | undefined {
  return typeof pingInterval === 'number' && pingInterval > 0 ? Math.max(pingInterval * 2.5, 3_000) : undefined;
}
