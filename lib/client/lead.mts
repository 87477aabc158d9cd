import { Holder } from './holder.mjs';
import { termsOf } from './protocol.mjs';
import type { Recent } from './recent.mjs';

/**
 * Holds the connection of a scope from when nobody else does until `signal`, or for ever.
 *
 * `recent`: what whoever held it before has brought.
 */
export function lead(scope: string, recent: () => Recent | undefined, signal?: AbortSignal): void {
  const { locks } = navigator;
  const hold = (): Promise<void> | undefined => {
    if (signal?.aborted) return undefined;
    const holder = new Holder(termsOf(scope), new BroadcastChannel(scope), locks, recent());
    return new Promise((resolve) => {
      signal?.addEventListener('abort', () => {
        holder.stop();
        resolve();
      });
    });
  };
  // Plain http has no locks; but there is one worker of a name.
  if (locks) void locks.request(scope, hold);
  else void hold();
}
