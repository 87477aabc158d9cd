import type { Application } from 'egg';

/** The workers of this cluster, as the agent tells. */
export class Workers {
  readonly #messenger: Application['messenger'];
  #pids: readonly number[] = [];

  constructor(messenger: Application['messenger']) {
    this.#messenger = messenger;
    messenger.on('proof:workers', (pids: readonly number[]) => {
      this.#pids = pids;
    });
    // Each worker can kill itself alone: whatever a request says, nothing else on this machine dies.
    messenger.on('proof:kill', (pid: number) => {
      if (pid === process.pid) process.kill(process.pid, 'SIGKILL');
    });
  }

  has(pid: number): boolean {
    return this.#pids.includes(pid);
  }

  /** Kills a worker on the spot, as running out of memory would. Egg starts another. */
  kill(pid: number): void {
    this.#messenger.sendToApp('proof:kill', pid);
  }
}
