import type { EventEmitter } from 'node:events';

/**
 * One end of the channel between an app worker and the agent.
 *
 * It keeps its order; and what the agent says to all reaches every worker that lives, or none: Egg's master stands in
 * between and passes it on in one go.
 */
export interface Channel<Out, In> {
  /** To the agent; from the agent to one worker, or to all. */
  send<A extends keyof Out & string>(action: A, data: Out[A], worker?: string): void;
  /** What is said to another worker is passed over by one that gives its name. */
  on<A extends keyof In & string>(action: A, listener: (data: In[A]) => void, worker?: string): void;
  /** Listens no more. */
  close(): void;
}

/**
 * Makes a channel of whatever tells what arrives, by name, and of a way to send. Egg's messenger is both; its names are
 * shared with the app, so these begin with the plugin's. What is for one worker says so: it may reach others too.
 */
export function openChannel<Out, In>(
  arrivals: Pick<EventEmitter, 'on' | 'removeListener'>,
  send: (name: string, data: unknown, worker?: string) => void,
): Channel<Out, In> {
  const listeners: [string, (data: never) => void][] = [];
  return {
    send(action, data, worker) {
      send(`egg-sse:${action}`, worker === undefined ? data : { ...data, to: worker }, worker);
    },
    on(action, listener, worker) {
      const name = `egg-sse:${action}`;
      const filter = (data: { to?: string } & In[typeof action]): void => {
        if (worker === undefined || data.to === undefined || data.to === worker) listener(data);
      };
      arrivals.on(name, filter);
      listeners.push([name, filter]);
    },
    close() {
      for (const [name, listener] of listeners.splice(0)) arrivals.removeListener(name, listener as () => void);
    },
  };
}

/** The pid in a worker's name, which is where to send what is for it alone. */
export function pidOf(worker: string): string {
  return worker.slice(0, worker.indexOf('-'));
}
