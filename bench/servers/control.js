'use strict';

// What the Node servers share: the work they are given, and how they are asked for it.
//
// A server prints one line of JSON when it listens: { port, control, pid }. On the control port it answers
//   GET /publish?count&size&burst&ahead&per&rate&keys&streams  when everything is published
//   GET /count  how many streams are open
//   GET /collect  after a garbage collection
const { openSync, readSync } = require('node:fs');
const { createServer } = require('node:http');
const { setTimeout: wait } = require('node:timers/promises');
const v8 = require('node:v8');
const vm = require('node:vm');

const MARK = 26;

// How often a publisher that waits looks for what has come: it is to cost next to nothing.
const PAUSE_MS = 4;

/** The streams' path, with the keys that were asked for. */
exports.keysOf = (request) => new URL(request.url, 'http://localhost').searchParams.getAll('connectKey');

exports.PING_MS = Number(process.env.BENCH_PING_MS ?? 10_000);

/** What the clients have received in all; see client.c. */
class Progress {
  #file = openSync(process.env.BENCH_PROGRESS, 'r');
  #bytes = Buffer.alloc(8);

  get deliveries() {
    readSync(this.#file, this.#bytes, 0, 8, 0);
    return Number(this.#bytes.readBigUInt64LE());
  }
}

const fillings = new Map();

/** A message's data; client.c says what is in it. */
const dataOf = (number, size) => {
  if (!fillings.has(size)) fillings.set(size, `${'x'.repeat(size - MARK - 1)}$`);
  const at = process.hrtime.bigint().toString(16).padStart(16, '0');
  return `@@${number.toString(16).padStart(8, '0')}${at}${fillings.get(size)}`;
};

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * Publishes `count` messages of `size` bytes: `burst` of them in each turn of the event loop, at most `ahead` more than the
 * clients have received, `rate` turns a second (0: as fast as it goes). With `keys`, message i goes to key i modulo `keys`,
 * whose one client is one of `streams`, and is that client's number i / streams. Each message makes `per` deliveries. `settle` is awaited in each turn.
 */
async function publish({ count, size, burst, ahead, per, rate, keys, streams }, { send, settle }) {
  const progress = new Progress();
  const began = performance.now();
  for (let i = 0, turn = 1; i < count; turn++) {
    for (let b = 0; b < burst && i < count; b++, i++) {
      const key = keys > 0 ? `k${i % keys}` : 'k';
      send(key, dataOf(keys > 0 ? Math.floor(i / streams) : i, size));
    }
    if (rate > 0) await wait(Math.max(0, began + (turn * 1000) / rate - performance.now()));
    else await nextTurn();
    await settle?.();
    // The clients set the pace of a server that is faster than they are.
    while (i < count && i + burst - progress.deliveries / per > ahead) await wait(PAUSE_MS);
  }
}

const workOf = (query) =>
  Object.fromEntries(
    ['count', 'size', 'burst', 'ahead', 'per', 'rate', 'keys', 'streams'].map((name) => [
      name,
      Number(query.get(name) ?? 0),
    ]),
  );

/** Serves the control port, and says where everything is. */
exports.control = (port, { pid = process.pid, send, settle, count, more = {} }) => {
  // No server outlives the benchmark. A worker of Egg has its master's input, and goes when that one says so.
  if (process.env.BENCH_CLUSTER === undefined) process.stdin.once('end', () => process.exit()).resume();
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc');
  const routes = {
    '/publish': (query) => publish(workOf(query), { send, settle }),
    '/count': () => count(),
    '/collect': () => {
      for (let i = 0; i < 3; i++) collect();
    },
    ...more,
  };
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://localhost');
    try {
      const answer = await routes[pathname](searchParams);
      response.setHeader('Connection', 'close');
      response.end(JSON.stringify(answer ?? null));
    } catch (error) {
      response.writeHead(500).end(String(error.stack));
    }
  });
  // Workers of a cluster would share what is not exclusive.
  server.listen({ port: 0, host: '127.0.0.1', exclusive: true }, () => {
    process.stdout.write(`${JSON.stringify({ port, control: server.address().port, pid })}\n`);
  });
};
