import type { EventEmitter } from 'node:events';
import { hostname } from 'node:os';

/** What tells what arrives, by name: Egg's messenger, for one. */
type Messenger = Pick<EventEmitter, 'emit'>;

/** An agent, for an app that runs in the same process. */
export interface LocalAgent {
  readonly messenger: Messenger;
  /** Takes the app's messenger instead of the channel between processes. */
  attach(app: Messenger): void;
}

/**
 * Agents that share a process with their app, by the app's folder: in Egg's single mode, and in unit tests. There is no
 * channel between processes then, and what stands in for it differs from one version of Egg to the other.
 */
export const localAgents = new Map<string, LocalAgent>();

/** Sends within a process, as between processes: not before this turn is over, and in order. */
export function sendLocally(to: Messenger, name: string, data: unknown): void {
  setImmediate(() => to.emit(name, data));
}

/** An Egg app or agent. Its types leave out what says where its master listens. */
interface ListeningProcess {
  readonly config: object;
}

/** A host, to Egg, is one master with its agent and workers: the same name in all of them, and after a restart. */
export function hostOf(egg: ListeningProcess): string {
  const { options, config } = egg as unknown as {
    options: { port?: number };
    config: { cluster?: { listen?: { port?: number; path?: string } } };
  };
  const { port, path } = config.cluster?.listen ?? {};
  return `${hostname()}:${options.port ?? port ?? path ?? ''}`;
}
