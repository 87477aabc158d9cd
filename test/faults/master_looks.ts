import type { Cluster } from '../support/cluster';

const LOOK_EVERY_MS = 10_000;
// A look comes a little later each time.
const LATE_MS = 4_000;

/**
 * Egg's master looks every 10 s whether there is an agent that has started, and ends the app when there was none three
 * times in a row. Whoever kills agents every few seconds must let it see one now and then.
 */
export class MasterLooks {
  readonly #cluster: Cluster;
  /** Since when the present agent has started. */
  #upSince: number;
  /** The last look that must have found one. */
  #foundAt: number;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#upSince = this.#foundAt = cluster.readyAt;
  }

  /** Says that another agent has started. */
  agentStarted(): void {
    this.#upSince = performance.now();
  }

  /** Whether the agent may be killed now: the master has found one, this look or the last. */
  get mayKill(): boolean {
    const now = performance.now();
    const { readyAt } = this.#cluster;
    const looks = Math.floor((now - LATE_MS - readyAt) / LOOK_EVERY_MS);
    const look = readyAt + looks * LOOK_EVERY_MS;
    if (look > this.#upSince) this.#foundAt = look;
    return now - this.#foundAt < LOOK_EVERY_MS + LATE_MS;
  }
}
