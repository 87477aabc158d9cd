import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Cluster } from '../support/cluster';
import { environment } from '../support/environment';
import { eventually } from '../support/eventually';
import { Stream } from '../support/stream';

async function get<T>(url: string): Promise<T> {
  return (await (await fetch(url)).json()) as T;
}

describe('the plugin in Egg', () => {
  const clusters: Cluster[] = [];

  async function start(options: Parameters<typeof Cluster.start>[0] = {}): Promise<Cluster> {
    const cluster = await Cluster.start(options);
    clusters.push(cluster);
    return cluster;
  }

  after(() => Promise.all(clusters.map((cluster) => cluster.stop())));

  describe('an Egg app', () => {
    it('counts the connections of all workers, and says when a worker did not answer', async () => {
      const cluster = await start({ workers: 2 });
      const workers = await cluster.allWorkers();
      const streams = await Promise.all(
        workers.flatMap(({ url }) => [Stream.open(`${url}/stream?connectKey=a`), Stream.open(`${url}/stream`)]),
      );
      for (const { url } of workers) {
        assert.deepEqual(await get(`${url}/total`), { clients: 4, complete: true });
        assert.deepEqual(await get(`${url}/total?key=a`), { clients: 2, complete: true });
      }
      await cluster.signal(workers[1]!.pid, 'SIGSTOP');
      assert.deepEqual(await get(`${workers[0]!.url}/total`), { clients: 2, complete: false });
      await cluster.signal(workers[1]!.pid, 'SIGCONT');
      await eventually(async () => (await get<{ complete: boolean }>(`${workers[0]!.url}/total`)).complete);
      for (const stream of streams) stream.close();
    });

    it('starts and restarts without a warning of Egg about the plugin', async () => {
      const cluster = await start({ workers: 2 });
      const agent = await cluster.agentPid();
      await cluster.signal(agent, 'SIGKILL');
      await eventually(async () => (await cluster.agentPid()) !== agent);
      const [worker] = await cluster.allWorkers();
      await get(`${worker!.url}/publish?key=a&data=x`);
      for (const log of ['egg-agent.log', 'egg-web.log'])
        assert.doesNotMatch(cluster.log(log), /agent can't call|ready_timeout/);
    });

    it('has one order in single mode too, for the app and the agent', async () => {
      const dir = mkdtempSync(join(tmpdir(), 'egg-sse-test-'));
      const main = join(__dirname, '../support/single_main.ts');
      const { stdout } = await promisify(execFile)(process.execPath, ['--require', 'tsx/cjs', main], {
        env: { ...environment(), EGG_TYPESCRIPT: 'true', FIXTURE_DIR: dir, HOME: dir },
      });
      rmSync(dir, { recursive: true, force: true });
      const { published, received, data, total, byes } = JSON.parse(stdout.trim().split('\n').at(-1)!) as {
        published: string[];
        received: string[];
        data: string[];
        total: unknown;
        byes: number;
      };
      assert.deepEqual(received, published);
      assert.equal(new Set(received).size, 3);
      assert.deepEqual(data, ['1', '2', '3', '4', '5']);
      assert.deepEqual(total, { clients: 1, complete: true });
      assert.equal(byes, 1);
    });
  });

  describe('a worker of an Egg app', () => {
    it('ends 1,000 open streams with sse:bye when the app is stopped, well before Egg kills it', async () => {
      const cluster = await start({ config: { sse: { retry: 100 } } });
      const streams: Stream[] = [];
      for (let i = 0; i < 20; i++) {
        streams.push(...(await Promise.all(Array.from({ length: 50 }, () => Stream.open(`${cluster.url}/stream`)))));
      }
      await Promise.all(streams.map((stream) => stream.until(({ events }) => events.length === 1)));
      const ms = await cluster.stop();
      for (const stream of streams) {
        await stream.untilEnd();
        assert.equal(stream.own('bye').length, 1);
        assert.ok(stream.response.complete, 'the stream was cut');
      }
      assert.ok(ms < 4_500, `it took ${ms} ms`);
    });

    it('that dies of an uncaughtException sends its clients away at once, to a living one', async () => {
      const cluster = await start();
      const [worker] = await cluster.allWorkers();
      const stream = await Stream.open(`${cluster.url}/stream?connectKey=a`);
      await stream.until(({ events }) => events.length === 1);
      const began = performance.now();
      await fetch(`${cluster.url}/crash`);
      await stream.untilEnd();
      // Egg keeps such a worker and its sockets for 30 s.
      assert.ok(performance.now() - began < 15_000);
      await eventually(() => cluster.workers().some(({ pid }) => pid !== worker!.pid));
      const again = await Stream.open(`${cluster.url}/stream?connectKey=a`);
      assert.deepEqual((await get<{ reach: string }>(`${cluster.url}/publish?key=a&data=x`)).reach, 'everywhere');
      await again.untilMessages(1);
      again.close();
    });

    it('does not start with a wrong option, and names it', async () => {
      await assert.rejects(
        start({ config: { sse: { stallTimeout: 'long' } } }),
        /config\.sse\.stallTimeout is "long"; it must be an integer/,
      );
    });

    it('does not log clients that hang up, but logs what the app does wrong', async () => {
      const cluster = await start();
      for (let i = 0; i < 5; i++) {
        const stream = await Stream.open(`${cluster.url}/stream`);
        stream.response.socket.resetAndDestroy();
      }
      await eventually(async () => (await get<{ connections: number }>(`${cluster.url}/stats`)).connections === 0);
      await fetch(`${cluster.url}/fail`);
      await eventually(() => cluster.errors.includes('the app does something wrong'));
      assert.doesNotMatch(cluster.errors, /ECONNRESET|EPIPE/);
    });

    it('keeps a quiet stream open past the timeout that the app has for its answers', async () => {
      const cluster = await start({ config: { serverTimeout: 300, sse: { pingInterval: 1_500 } } });
      const stream = await Stream.open(`${cluster.url}/stream?connectKey=a`);
      await stream.until(({ comments }) => comments.length === 2);
      await get(`${cluster.url}/publish?key=a&data=x`);
      await stream.untilMessages(1);
      stream.close();
    });
  });
});
