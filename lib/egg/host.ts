import type { EventEmitter } from 'node:events';
import { hostname } from 'node:os';
import type { Agent, Application } from 'egg';
import { pidOf } from '../base/channel';

/** Sends something under a name to the other end; `worker` names the one it is for, if it is not for all. */
type Send = (name: string, data: unknown, worker?: string) => void;

type Messenger = Pick<EventEmitter, 'emit'>;

/** An agent as an app of the same process finds it. */
interface AgentHere {
  readonly messenger: Messenger;
  /** Has the agent send to this app's messenger instead of the channel between processes. */
  attach(app: Messenger): void;
}

/**
 * The agents of this process, by the app's folder. In Egg's single mode, and in unit tests, the app is in the same
 * process. There is no channel between processes then, and what stands in for it differs from one version of Egg to the
 * other.
 */
const agentsHere = new Map<string, AgentHere>();

/** The way from a worker to its agent. `isAlone`: this host has no other worker. */
export function agentOf(app: Application): { readonly send: Send; readonly isAlone: boolean } {
  const here = agentsHere.get(app.baseDir);
  if (here === undefined) {
    const { workers } = (app as unknown as { options: { workers?: number } }).options;
    return { send: (name, data) => app.messenger.sendToAgent(name, data), isAlone: workers === 1 };
  }
  here.attach(app.messenger);
  return { send: (name, data) => sendHere(here.messenger, name, data), isAlone: true };
}

/** The method by which Egg's messenger sends; its types leave it out. */
interface Sender {
  send(action: string, data: unknown, to: 'app'): void;
}

/** The way from an agent to its workers. `onAppHere` is called when their app turns out to be in this process. */
export function workersOf(agent: Agent, onAppHere: () => void): { readonly send: Send; close(): void } {
  const { messenger, baseDir } = agent;
  let appHere: Messenger | undefined;
  const here: AgentHere = {
    messenger,
    attach(app) {
      appHere = app;
      onAppHere();
    },
  };
  agentsHere.set(baseDir, here);
  let isStarted = false;
  messenger.once('egg-ready', () => (isStarted = true));
  return {
    send(name, data, worker) {
      if (appHere !== undefined) sendHere(appHere, name, data);
      else if (isStarted && worker !== undefined) messenger.sendTo(Number(pidOf(worker)), name, data);
      // Until the whole app is started, Egg warns of every sendTo and sendToApp, but workers need the order to start.
      else (messenger as unknown as Sender).send(name, data, 'app');
    },
    close() {
      if (agentsHere.get(baseDir) === here) agentsHere.delete(baseDir);
    },
  };
}

/** Sends within a process, as between processes: not before this turn is over, and in order. */
function sendHere(to: Messenger, name: string, data: unknown): void {
  setImmediate(() => to.emit(name, data));
}

/** An Egg app or agent; its types leave out where its master listens. */
interface ListeningProcess {
  readonly config: object;
}

/** The name of a host: of a master with its agent and workers. It is the same in all of them, and after a restart. */
export function hostOf(egg: ListeningProcess): string {
  const { options, config } = egg as unknown as {
    options: { port?: number };
    config: { cluster?: { listen?: { port?: number; path?: string } } };
  };
  const { port, path } = config.cluster?.listen ?? {};
  return `${hostname()}:${options.port ?? port ?? path ?? ''}`;
}
