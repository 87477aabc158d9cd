import { Leader } from './leader.mjs';
import { termsOf } from './protocol.mjs';
import type { Recent } from './recent.mjs';

/**
 * Leads the tabs of a scope, from when no other leader does until `signal` is aborted, or for ever.
 *
 * `recent`: the newest events of the leader before.
 */
export function lead(scope: string, recent: () => Recent | undefined, signal?: AbortSignal): void {
  const { locks } = navigator;
  const whileLeading = (): Promise<void> | undefined => {
    if (signal?.aborted) return undefined;
    const leader = new Leader(termsOf(scope), new BroadcastChannel(scope), locks, recent());
    return new Promise((resolve) => {
      signal?.addEventListener('abort', () => {
        leader.stop();
        resolve();
      });
    });
  };
  // There are no locks on plain http, where only the shared worker leads: there is one of a name.
  if (locks) void locks.request(scope, whileLeading);
  else void whileLeading();
}
