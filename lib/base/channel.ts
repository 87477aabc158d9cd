import type { EventEmitter } from 'node:events';

/**
 * One end of the channel between an app worker and the agent.
 *
 * Messages arrive in the order in which they were sent. A message of the agent to all reaches every living worker or
 * none: Egg's master passes it on in one go.
 */
export interface Channel<Out, In> {
  /** Sends to the agent; from the agent to one worker, or to all. */
  send<A extends keyof Out & string>(action: A, data: Out[A], worker?: string): void;
  /** Listens; a worker that gives its name hears only what is for it or for all. */
  on<A extends keyof In & string>(action: A, listener: (data: In[A]) => void, worker?: string): void;
  /** Stops listening. */
  close(): void;
}

/**
 * Makes a channel of an emitter that emits what arrives, and of a function that sends; Egg's messenger does both.
 *
 * The app uses the same messenger, so names on it begin with `egg-sse:`. A message for one worker carries that worker's
 * name, because others may get it too.
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

/** The pid in a worker's name: Egg's messenger sends to a worker by its pid. */
export function pidOf(worker: string): string {
  return worker.slice(0, worker.indexOf('-'));
}
