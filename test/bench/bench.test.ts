import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { buildPlugin, compile } from '../../bench/build';
import { Clients, faultsOf, type Received } from '../../bench/clients';
import { measure, Session } from '../../bench/session';
import { findProgram } from '../support/program';

const GCC = { title: 'gcc', names: ['gcc'], debian: 'gcc libc6-dev' };
const isLinux = process.platform === 'linux';
if (!isLinux) console.error('\n!!! SKIPPED, this is not Linux: the benchmark.\n');
const canRun = isLinux && findProgram(GCC, 'the benchmark') !== undefined;

const SIZE = 200;

(canRun ? describe : describe.skip)('the benchmark', () => {
  let client: string;
  before(() => (client = compile('client')));

  describe("'s clients", () => {
    let dir: string;
    before(() => (dir = mkdtempSync(join(tmpdir(), 'egg-sse-bench-test-'))));
    after(() => rmSync(dir, { recursive: true, force: true }));

    /** What clients say of a server that writes this to each of them, in pieces of so many bytes. */
    async function hear(messages: readonly string[], expected: number, pieces = 100_000): Promise<Received> {
      const server = createServer((socket) => {
        socket.on('error', () => undefined).setNoDelay(true);
        socket.once('data', () => void write());
        const write = async (): Promise<void> => {
          socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n');
          const text = messages.map((message) => `data: ${message}\n\n`).join('');
          for (let at = 0; at < text.length; at += pieces) {
            socket.write(text.slice(at, at + pieces));
            await nextTurn();
          }
        };
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const clients = new Clients([client], (server.address() as AddressInfo).port, join(dir, 'progress'));
      try {
        const { received } = await clients.expect({ clients: 20, messages: expected, size: SIZE }, 3);
        await clients.open({ clients: 20 });
        return await received;
      } finally {
        await clients.stop();
        server.close();
      }
    }

    it('count what comes, whatever pieces it comes in', async () => {
      for (const pieces of [7, 64, 211, 100_000]) {
        const received = await hear(numbers(50), 50, pieces);
        assert.deepEqual(faultsOf(received), []);
        assert.equal(received.deliveries, 20 * 50);
      }
    });

    it('see that a message is lost', async () => {
      const received = await hear([...numbers(10).slice(0, 4), ...numbers(10).slice(5)], 10);
      assert.deepEqual(faultsOf(received), ['20 lost']);
    });

    it('see that the last message is lost', async () => {
      const received = await hear(numbers(9), 10);
      assert.deepEqual(faultsOf(received), ['20 missing']);
    });

    it('see that two messages are swapped', async () => {
      const [a, b, c, ...rest] = numbers(10);
      const received = await hear([a!, c!, b!, ...rest], 10);
      assert.deepEqual(faultsOf(received), ['20 lost', '20 late']);
    });

    it('see that a message comes twice', async () => {
      const [a, b, ...rest] = numbers(10);
      const received = await hear([a!, b!, b!, ...rest], 10);
      assert.deepEqual(faultsOf(received), ['20 late']);
    });

    it('see that a message is not whole', async () => {
      const [a, b, ...rest] = numbers(10);
      const received = await hear([a!, b!.slice(0, -10), ...rest], 10);
      assert.ok(received.torn > 0);
    });
  });

  for (const name of ['ours', 'raw'] as const) {
    it(`measures ${name === 'ours' ? 'the plugin, built, in an Egg app' : 'res.write'}`, async () => {
      const plugin = name === 'ours' ? buildPlugin() : '';
      const workshop = { plugin, limit: '', nchan: undefined, pin: [], client: [client] };
      await Session.with(name, workshop, {}, async (session) => {
        await session.open({ clients: 20 });
        const run = await session.run({ count: 100, size: SIZE, burst: 10 });
        assert.equal(run.received.deliveries, 20 * 100);
        const { figures } = measure(run);
        assert.deepEqual(faultsOf(run.received), []);
        assert.ok(figures.perCpuSecond! > 0 && figures.p99! >= figures.p50!);

        await session.open({ clients: 20, keys: 2 });
        const keyed = await session.run({ count: 200, size: SIZE, keys: 40 });
        assert.equal(keyed.received.deliveries, 200);
        assert.deepEqual(faultsOf(keyed.received), []);
      });
    });
  }
});

/** Messages 0, 1, 2 … as client.c wants them, published now. */
function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, number) => {
    const at = process.hrtime.bigint().toString(16).padStart(16, '0');
    return `@@${number.toString(16).padStart(8, '0')}${at}`.padEnd(SIZE - 1, 'x') + '$';
  });
}
