import { Authorizer } from './access/authorizer';
import { UserLimit } from './access/user_limit';
import { toError } from './base/error';
import type { SseLogger } from './base/logger';
import { Compression } from './connection/compression';
import { KeySets } from './connection/key_sets';
import { Pools } from './connection/pools';
import type { SseRequest } from './connection/wire';
import { Endpoint } from './http/endpoint';
import { Events } from './hub/events';
import { Hub } from './hub/hub';
import { Joins } from './hub/join';
import { Lifetimes } from './hub/lifetimes';
import { Rights } from './hub/rights';
import { Room } from './hub/room';
import { Log } from './log/log';
import { Readers } from './log/readers';
import { TakenMail } from './log/taken_mail';
import { ThrottleRules } from './log/throttle';
import { isRunKey, user } from './message/keys';
import type { Bounds, SseOptions } from './options/options';
import type { Broker } from './order/broker';
import { Confirmations } from './pump/confirmations';
import { Pump } from './pump/pump';
import { Runs, type Detach } from './runs/runs';

/** The options of a process's parts. */
export interface PartsOptions {
  readonly options: SseOptions;
  readonly broker: Broker;
  readonly logger: SseLogger;
  /** The context of an open stream's request, for the authorizer. Left out: the request itself. */
  readonly contextOf?: ((request: SseRequest) => Promise<object>) | undefined;
  /** Runs the producers of runs apart from the request that started them. Left out: in no context. */
  readonly detach?: Detach | undefined;
  /** Whether runs may be started here. Left out: yes, unless `config.sse.runs` is false. */
  readonly producesRuns?: boolean | undefined;
}

/** The parts of a process. */
export interface Parts {
  readonly log: Log;
  readonly readers: Readers;
  readonly takenMail: TakenMail;
  readonly hub: Hub;
  readonly lifetimes: Lifetimes;
  readonly authorizer: Authorizer;
  readonly runs: Runs;
  readonly events: Events;
  readonly endpoint: Endpoint;
}

const NO_HISTORY: Bounds = { age: 0, count: 0, bytes: 16 * 1024 * 1024 };

// Node buffers this much before it says that a client is behind; `maxUnsentBytes` includes it.
const NODE_BUFFER_BYTES = 16 * 1024;

/** Puts the parts of a process together, in the order in which they need each other. */
export function assemble(given: PartsOptions): Parts {
  const { options, broker, logger, contextOf = async (request) => request, detach, producesRuns = true } = given;
  const { history, mailbox, compression } = options;
  const events = new Events(logger);
  const takenMail = new TakenMail((act) => broker.publish({ keys: [], body: '', act }, 'everywhere'));
  const log = new Log({ history: history || NO_HISTORY, mailbox, runs: options.runs, taken: takenMail });
  const readers = new Readers(log);
  const pools = new Pools(isRunKey);
  const keySets = new KeySets(
    new ThrottleRules(options.throttle),
    compression === false ? undefined : new Compression(compression),
  );
  const confirmations = new Confirmations(pools);
  const pump = new Pump(readers, {
    maxBatchBytes: Math.max(1, options.maxUnsentBytes - NODE_BUFFER_BYTES),
    onGap: (gap) => events.emit('gap', gap),
    onPassed: (through) => confirmations.pass(through),
    onError: (error) => logger.error(toError(error)),
  });
  const runs = new Runs({
    log,
    broker,
    logger,
    watched: () => pools.watched,
    isOn: options.runs !== false && producesRuns,
    detach,
  });
  const authorizer = new Authorizer(options, logger);
  const userLimit = new UserLimit(options.maxClientsPerUser, (id) => pools.of(user(id))?.size ?? 0);
  const room = new Room({ options, pools, userLimit, order: broker });
  const joins = new Joins({
    options,
    log,
    readers,
    pools,
    keySets,
    pump,
    runs,
    room,
    events,
    catchUp: () => broker.catchUp(),
  });
  const { unplaced } = joins;
  const rights = new Rights({ pools, keySets, readers, pump, authorizer, contextOf });
  const lifetimes = new Lifetimes({ options, pools, pump, log, room, unplaced, runs });
  const hub = new Hub({ log, pools, pump, confirmations, unplaced, rights, runs, userLimit, events });
  const endpoint = new Endpoint({ options, authorizer, joins, events, logger });
  return { log, readers, takenMail, hub, lifetimes, authorizer, runs, events, endpoint };
}
