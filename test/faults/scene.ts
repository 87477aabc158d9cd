import type { FaultClient } from './client';
import type { Deployment } from './deployment';

/** What those that break something see of a run. */
export interface Scene {
  readonly deployment: Deployment;
  readonly clients: readonly FaultClient[];
  /** Something breaks now. */
  breaks(): void;
  /** Something that was to break had no effect. */
  hadNoEffect(what: string): void;
  /** Publishes something; `acknowledged` says, at any time, whether it has its place by now. */
  publish(): { readonly acknowledged: boolean };
  /** Resolves when messages are ordered again. */
  isServed(): Promise<void>;
}
