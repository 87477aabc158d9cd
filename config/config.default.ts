import type { SseOptions } from '../lib/options/options';

/** Every option of egg-sse with its default, its unit and its reason. An app overrides them in its own `config.sse`. */
const sse: SseOptions = {
  /** Where clients open the stream. */
  path: '/stream',

  /**
   * Headers of every answer of the stream. An app's own are added; `null` takes one away.
   * `Transfer-Encoding` is Node's business and is ignored here.
   */
  headers: {
    // A cache or a transforming proxy would hold events back.
    'Cache-Control': 'no-cache, no-transform',
    // nginx buffers answers unless told not to.
    'X-Accel-Buffering': 'no',
    // As in 1.x: streams are readable from pages of any origin, without credentials.
    'Access-Control-Allow-Origin': '*',
  },

  /**
   * Whether streams are answered before the app's own middlewares: for apps whose authorizer does not need them. Opening
   * one takes about half the time, and each a third less memory. Sessions that are kept in a store are not there then.
   */
  early: false,

  /** Connections per worker. One costs 9 to 14 kB and a file descriptor. */
  maxClients: 10_000,

  /**
   * Connections of one user per host, over all of its workers; 0 = no limit. Over it the new one is refused: none that is
   * open is ended. Who the user is says the app's authorizer; each connect then asks the other workers.
   */
  maxClientsPerUser: 0,

  /** What a client hears over `maxClients` or `maxClientsPerUser`: `refuse` = 503, `retry` = come back by yourself (a browser never returns after a 503). */
  overload: 'refuse',

  /** Keys one connection may ask for. Each costs a place in a pool, and a step of every resume. */
  maxKeys: 100,

  /** Characters in a key. Keys come from URLs, and are kept as long as someone holds them. */
  maxKeyLength: 256,

  /** ms without a byte before a comment is sent. Proxies close quiet streams, most after 60 s, some after 15; 0 = never. */
  pingInterval: 10_000,

  /** ms a client waits before it reconnects, sent in the first frame. */
  retry: 2_000,

  /**
   * What is kept for clients that come back, and for slow ones. `false`: nothing stays once it has been written, and a
   * client that was away or fell behind is told of the gap.
   */
  history: {
    /** ms a message is kept: long enough for a train tunnel or a deploy. */
    age: 300_000,
    /** Messages kept per key, so that a busy key does not push out quiet ones. */
    count: 1_000,
    /** Bytes kept per worker, over all keys. */
    bytes: 32 * 1024 * 1024,
  },

  /**
   * What goes to each connection only so often, the newest last: `{ 'price:*': { interval: 1000, keep: 'latest' } }`, by key
   * or by the beginning of keys; the longest that matches counts. `interval` in ms.
   */
  throttle: {},

  /**
   * Bytes that may wait in the process for one client to read. A client that is further behind waits in the log, for
   * nothing. One message larger than this goes out alone.
   */
  maxUnsentBytes: 1024 * 1024,

  /** ms a client may take nothing while bytes wait for it. */
  stallTimeout: 30_000,

  /**
   * ms a connection lives at most; each ends between 80 % and 100 % of it, so that clients do not all return at once.
   * A client that vanished without a word is held by the kernel for up to 15 minutes; only this bounds it.
   */
  maxAge: 30 * 60_000,

  /**
   * gzip for clients that accept it: `true`, or `{ level: 6, except: ['@user:*'] }`. Those who hold the same keys share the
   * work. Off: who can have text of their own sent beside a secret, and see how long the answer is, may guess the secret
   * (BREACH); whoever holds a key of `except` is sent nothing compressed.
   */
  compression: false,

  /** ms the app's authorizer may take before the stream is refused with 503. */
  authorizeTimeout: 10_000,

  /**
   * The groups directly around a group, for who is in a group of groups: `eng/web` is in `eng`. An app with groups of its
   * own returns theirs, also as a promise; it is asked once for each connection.
   */
  groups: (name) => (name.includes('/') ? [name.slice(0, name.lastIndexOf('/'))] : []),

  /**
   * Which pages of other origins may read the streams: `{ origins: ['https://app.example.com'], credentials: true }`; it
   * takes the place of `Access-Control-Allow-Origin` in `headers`. `false`: what `headers` say.
   */
  cors: false,

  /**
   * The Redis that carries messages to every host: `{ client: 'name' }` connects as that client of egg-redis or
   * @eggjs/redis does, anything else is options of ioredis: `{ host, port, … }`. `false`: messages stay on this host.
   * Redis keeps what is younger than `history.age`, and at most `maxMessages` of all keys, 100,000 unless said.
   */
  redis: false,

  /**
   * What publishes by itself what reaches the agent from elsewhere, once per host: `messenger: { action: key }`, and
   * `redis: { client: 'name', channels: { news: true }, patterns: { 'room:*': true } }`.
   */
  bridges: {},

  /** `POST {path}`, for services that are not Egg. Off until it has a secret; `false` is off as well. */
  publisher: {
    /** What they send as `Authorization: Bearer …`: at least 16 characters, nobody should guess it. A list while one takes over from another. */
    secret: null,
    /** Keys it may publish to, or beginnings of keys with a `*` behind. `null`: all of them, and everyone. */
    keys: null,
    /** Bytes of a request's body. It is held in memory until it is published. */
    maxBytes: 100 * 1024,
    /** ms a request's body may take to arrive. */
    timeout: 10_000,
  },

  /**
   * Keys whose messages wait until a connection that holds the key has taken them. Off until it has keys; `false` is off
   * as well.
   */
  mailbox: {
    /** Keys, or beginnings of keys with a `*` behind: `@user:*` is every user. Meant for keys of one person each: whoever comes first takes the mail. */
    keys: [],
    /** ms a message waits: a week, so that who was on holiday or at home with a cold still gets it. */
    age: 7 * 24 * 60 * 60_000,
    /** Messages that wait per mailbox, so that one that nobody empties does not push out the others. */
    count: 1_000,
    /** Bytes per worker of what waits, over all mailboxes, besides the history. */
    bytes: 32 * 1024 * 1024,
  },

  /** What is kept of runs (`app.sse.run`), for those who open them later or come back. `false`: there are none. */
  runs: {
    /** ms a run's messages stay readable: long enough for a lunch break, or for a page that is reloaded after it. */
    age: 60 * 60_000,
    /** Messages per run: a piece of text is one. A long answer of a model has some 10,000. */
    count: 100_000,
    /** Bytes per worker over all runs, besides the history. A piece of text costs about 600: this is some 100,000. */
    bytes: 64 * 1024 * 1024,
  },
};

export default { sse };
