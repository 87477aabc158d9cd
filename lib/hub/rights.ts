import { performance } from 'node:perf_hooks';
import type { Admission, Authorizer } from '../access/authorizer';
import type { SseError } from '../base/error';
import type { Connection } from '../connection/connection';
import type { KeySets } from '../connection/key_sets';
import type { Pools } from '../connection/pools';
import type { SseRequest } from '../connection/wire';
import type { Readers } from '../log/readers';
import type { Act } from '../order/broker';
import type { Pump } from '../pump/pump';
import { heldBy } from './joining';
import { toRegrant } from './welcome';

// Each question may cost the app a request to its sessions and directories.
const REAUTHORIZED_AT_ONCE = 16;

/** The rights of open streams, when they change: ends streams, and asks the app's authorizer again about others. */
export class Rights {
  readonly #pools: Pools;
  readonly #keySets: KeySets;
  readonly #readers: Readers;
  readonly #pump: Pump;
  readonly #authorizer: Authorizer;
  readonly #contextOf: (request: SseRequest) => Promise<object>;

  constructor(parts: {
    pools: Pools;
    keySets: KeySets;
    readers: Readers;
    pump: Pump;
    authorizer: Authorizer;
    /** The context of an open stream's request, for the authorizer. */
    contextOf: (request: SseRequest) => Promise<object>;
  }) {
    this.#pools = parts.pools;
    this.#keySets = parts.keySets;
    this.#readers = parts.readers;
    this.#pump = parts.pump;
    this.#authorizer = parts.authorizer;
    this.#contextOf = parts.contextOf;
  }

  /** Does an act of all processes. */
  perform(act: Exclude<Act, { do: 'take' }>): void {
    const connections = this.#pools.ofAny(act.keys);
    if (act.do === 'reauthorize') {
      void this.#reauthorize(connections);
      return;
    }
    for (const connection of connections) connection.close('disconnected', { text: act.reason });
  }

  async #reauthorize(connections: ReadonlySet<Connection>): Promise<void> {
    const left = [...connections];
    const work = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined; next = left.pop()) {
        const connection = next;
        try {
          const admission = this.#authorizer.admit(() => this.#contextOf(connection.request), {
            keys: connection.asked,
          });
          this.#regrant(connection, await admission);
        } catch (error) {
          // Also when the authorizer failed: the client comes back, and its new request is answered why.
          connection.close('refused', { text: (error as SseError).message });
        }
      }
    };
    await Promise.all(Array.from({ length: REAUTHORIZED_AT_ONCE }, work));
  }

  /** Gives an open stream its new grant, from now on and without a break, and tells its client. */
  #regrant(connection: Connection, admission: Admission): void {
    if (!this.#pools.all.has(connection)) return;
    const { isPrivate, keySet: before } = connection;
    const { user, groups } = admission;
    const { showsKeys } = connection.reader;
    const keys = isPrivate ? connection.reader.keys : admission.keys;
    if (!keys.every((key) => admission.keys.includes(key))) {
      connection.close('refused', { text: 'this run is not for this client any more' });
      return;
    }
    const set = this.#keySets.hold(heldBy({ ...admission, keys }), showsKeys);
    const { keys: held, throttled } = set;
    for (const key of before.keys) if (!held.includes(key)) this.#pools.exit(key, connection);
    for (const key of held) this.#pools.enter(key, connection);
    connection.keySet = set;
    this.#keySets.release(before);
    connection.grant({ ...admission, keys });
    if (isPrivate) return;
    this.#readers.rekey(connection.reader, held, throttled);
    if (connection.compressed) connection.compress(this.#keySets.deflateOf(set));
    connection.write(toRegrant({ keys, user, groups }), performance.now());
    // Mail may wait for its new keys.
    this.#pump.wake(connection);
  }
}
