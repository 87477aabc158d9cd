import type { Slot, UserLimit } from '../access/user_limit';
import { SseError } from '../base/error';
import type { Pools } from '../connection/pools';
import type { SseOptions } from '../options/options';
import type { Broker } from '../order/broker';

/** The room for streams: in this worker, and of one user on this host. */
export class Room {
  readonly #options: Pick<SseOptions, 'maxClients' | 'maxClientsPerUser'>;
  readonly #pools: Pools;
  readonly #userLimit: UserLimit;
  readonly #order: Pick<Broker, 'ask'>;
  #closed = false;

  constructor(parts: {
    options: Pick<SseOptions, 'maxClients' | 'maxClientsPerUser'>;
    pools: Pools;
    userLimit: UserLimit;
    order: Pick<Broker, 'ask'>;
  }) {
    this.#options = parts.options;
    this.#pools = parts.pools;
    this.#userLimit = parts.userLimit;
    this.#order = parts.order;
  }

  /** Has no more room: the worker is going. */
  close(): void {
    this.#closed = true;
  }

  /** Asks all workers for a slot of a user, if its streams are counted. Meanwhile others may join: `check` again. */
  slotFor(user: string | undefined): Promise<Slot> | undefined {
    if (user === undefined || this.#options.maxClientsPerUser === 0) return undefined;
    return this.#userLimit.reserve(user, (question) => this.#order.ask(question, 'host'));
  }

  /**
   * Throws `SseError` when no client can join in this turn: `ERR_SSE_SHUTDOWN` and `ERR_SSE_OVERLOAD` (503),
   * `ERR_SSE_USER_CLIENTS` (429) for a slot that is not free.
   */
  check(slot?: Slot): void {
    const { maxClients, maxClientsPerUser } = this.#options;
    if (this.#closed) throw noRoom('ERR_SSE_SHUTDOWN', 'this worker is going');
    if (this.#pools.all.size >= maxClients) {
      throw noRoom('ERR_SSE_OVERLOAD', `this worker has all of its ${maxClients} streams open`);
    }
    if (slot?.isFree === false) {
      throw noRoom('ERR_SSE_USER_CLIENTS', `this user has all of its ${maxClientsPerUser} streams open`, 429);
    }
  }
}

function noRoom(code: string, why: string, status = 503): SseError {
  return new SseError(code, `${why}; try again after Retry-After`, { status });
}
