import type { SseOptions } from '../lib/options/options';

/** Every option of egg-sse with its default, its unit and its reason. An app overrides them in its own `config.sse`. */
const sse: SseOptions = {
  // The stream endpoint

  /** Path of the stream endpoint. */
  path: '/stream',

  /** Headers of every stream; an app's own are added, `null` takes one away. Node sets `Transfer-Encoding` itself. */
  headers: {
    // Caches, and proxies that transform, would hold events back.
    'Cache-Control': 'no-cache, no-transform',
    // nginx buffers answers unless told not to.
    'X-Accel-Buffering': 'no',
    // Pages of any origin may read streams, without credentials, as in 1.x.
    'Access-Control-Allow-Origin': '*',
  },

  /**
   * Pages of other origins that may read streams, in place of the header above:
   * `{ origins: ['https://app.example.com'], credentials: true }`. `false`: the header decides.
   */
  cors: false,

  /**
   * Whether streams open before the app's own middlewares: in half the time, with a third less memory. Not for an
   * authorizer that needs those middlewares, nor a session in a store.
   */
  early: false,

  // Limits

  /** Connections per worker. One costs 9 to 14 kB and a file descriptor. */
  maxClients: 10_000,

  /**
   * Connections of one user per host, so that nobody takes all of them; 0 = no limit. The one over the limit is refused, no
   * open one ends. The app's authorizer says who the user is; each connect then asks the other workers.
   */
  maxClientsPerUser: 0,

  /**
   * Answer over these two limits. `refuse`: 503, or 429 for a user; a browser never comes back after that. `retry`: 200,
   * `sse:busy` and the end, so that a browser comes back.
   */
  overload: 'refuse',

  /** Keys that one connection may ask for. Each costs memory, and a step of every resume. */
  maxKeys: 100,

  /** Characters of a key. Keys come from URLs, and stay in memory as long as a connection holds them. */
  maxKeyLength: 256,

  // Each connection

  /** ms without a byte until a comment is sent; 0 = never. Proxies close quiet streams, most after 60 s, some after 15 s. */
  pingInterval: 10_000,

  /** ms a client waits before it reconnects; the first frame tells it. */
  retry: 2_000,

  /** ms a client may take nothing while bytes wait for it; then its connection ends. */
  stallTimeout: 30_000,

  /**
   * ms a connection lives at most; each ends between 80 % and 100 % of it, so that clients do not all return at once. A
   * client that vanished without a word stays open for up to 15 minutes in the kernel; only this bounds it.
   */
  maxAge: 30 * 60_000,

  /**
   * Bytes that may wait in the process for one client. A client that is further behind reads from the history, which
   * costs nothing. A single message that is larger goes out alone.
   */
  maxUnsentBytes: 1024 * 1024,

  /**
   * gzip for clients that accept it: `true`, or `{ level: 6, except: ['@user:*'] }`. Clients with the same keys share its
   * work. Off because of BREACH: an attacker who can add text beside a secret, and sees the length of the answer, may guess
   * the secret. A connection that holds a key of `except` is sent nothing compressed.
   */
  compression: false,

  // Messages: how long they are kept, how often they go out

  /** Messages kept for clients that come back or are slow. `false`: none; such a client is told of the gap. */
  history: {
    /** ms a message is kept: long enough for a train tunnel or a deploy. */
    age: 300_000,
    /** Messages per key, so that a busy key does not push out quiet ones. */
    count: 1_000,
    /** Bytes per worker, and in the agent, over all keys. */
    bytes: 32 * 1024 * 1024,
  },

  /** Messages that wait for a client of theirs, until it takes them. Off without keys, or with `false`. */
  mailbox: {
    /** Keys, or beginnings of keys with a `*` behind, as `@user:*`. Keys of one person each: the first client takes the mail. */
    keys: [],
    /** ms a message waits: a week, for people on holiday or at home with a cold. */
    age: 7 * 24 * 60 * 60_000,
    /** Messages per mailbox, so that one that nobody empties does not push out others. */
    count: 1_000,
    /** Bytes per worker, and in the agent, over all mailboxes, besides the history. */
    bytes: 32 * 1024 * 1024,
  },

  /** Messages of runs (`app.sse.run`), kept for clients that open a run later or come back. `false`: there are no runs. */
  runs: {
    /** ms a message is kept: long enough for a page that is opened after a lunch break. */
    age: 60 * 60_000,
    /** Messages per run. A piece of text is one; a long answer of a model has some 10,000. */
    count: 100_000,
    /** Bytes per worker, and in the agent, over all runs, besides the history. A piece takes about 600: this is some 100,000. */
    bytes: 64 * 1024 * 1024,
  },

  /**
   * Keys, or beginnings of keys, whose messages go to each connection only so often, the newest last:
   * `{ 'price:*': { interval: 1000, keep: 'latest' } }`, `interval` in ms. Of several that match, the longest counts.
   */
  throttle: {},

  // Rights

  /** ms the app's authorizer may take; then the stream is refused with 503. */
  authorizeTimeout: 10_000,

  /**
   * The groups directly around a group: by default `eng/web` is in `eng`. An app with groups of its own returns theirs, or a
   * promise of them; it is asked at each connect.
   */
  groups: (name) => (name.includes('/') ? [name.slice(0, name.lastIndexOf('/'))] : []),

  // Other hosts and services

  /**
   * The Redis that carries messages to all hosts: `{ client: 'name' }` for a client of egg-redis or @eggjs/redis, or options
   * of ioredis, `{ host, port }`. `false`: one host. It keeps messages for `history.age`, and `maxMessages` at most:
   * 100,000 unless said here.
   */
  redis: false,

  /**
   * Messages from elsewhere that are published by themselves, once per host: `messenger: { action: key }`, and
   * `redis: { client: 'name', channels: { news: true }, patterns: { 'room:*': true } }`.
   */
  bridges: {},

  /** `POST {path}`, by which services that are not Egg publish. Off without a secret, or with `false`. */
  publisher: {
    /** The text that they send as `Authorization: Bearer …`: 16 characters or more. A list while a new one takes over. */
    secret: null,
    /** Keys that they may publish to, or beginnings of keys with a `*` behind. `null`: all keys, and everyone. */
    keys: null,
    /** Bytes of a request's body. It is in memory until it is published. */
    maxBytes: 100 * 1024,
    /** ms a body may take to arrive. */
    timeout: 10_000,
  },
};

export default { sse };
