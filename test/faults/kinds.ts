/** What can be broken on any host. */
export const HOST_KINDS = [
  /** Clients that drop their connection. */
  'disconnect',
  /** Clients that stop reading until the worker feels it, and go on. */
  'stall',
  /** Workers that are killed (SIGKILL). */
  'workerKill',
  /** Agents that are killed (SIGKILL). */
  'agentKill',
  /** Workers that are stopped (SIGSTOP) and continued. */
  'workerStop',
] as const;

/** What can be broken in Redis itself, one at a time. */
export const STORE_KINDS = [
  /** It is stopped (SIGSTOP) and continued, now and then so late that everyone has given it up. */
  'redisStop',
  /** It is killed (SIGKILL) and started again with its append-only file. */
  'redisKill',
  /** It ends all connections. */
  'clientKill',
  /** It has no memory left, and evicts nothing. */
  'memoryFull',
] as const;

/** What can be broken between a host and Redis. */
export const LINK_KINDS = [
  /** All connections end, and new ones are refused for a moment. */
  'linkCut',
  /** Bytes take long for a while. */
  'linkDelay',
] as const;

export const REDIS_KINDS = [...STORE_KINDS, ...LINK_KINDS] as const;

export type StoreFault = (typeof STORE_KINDS)[number];
export type LinkFault = (typeof LINK_KINDS)[number];
export type ProcessFault = 'workerKill' | 'agentKill' | 'workerStop';
export type FaultKind = (typeof HOST_KINDS)[number] | StoreFault | LinkFault;

/** How often each kind strikes; one that is left out does not. */
export type FaultCounts = Partial<Record<FaultKind, number>>;

/** As many of each kind. */
export function each(kinds: readonly FaultKind[], count: number): FaultCounts {
  return Object.fromEntries(kinds.map((kind) => [kind, count]));
}
