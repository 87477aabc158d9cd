import { setTimeout as pause } from 'node:timers/promises';

// Only a safety net: a condition that comes true is seen at once, on a slow machine later.
const GIVE_UP_MS = 60_000;

/** Resolves when the condition holds; looks again every few ms. */
export async function eventually(condition: () => boolean | Promise<boolean>, what = String(condition)): Promise<void> {
  const end = performance.now() + GIVE_UP_MS;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`never came true: ${what}`);
    await pause(5);
  }
}
