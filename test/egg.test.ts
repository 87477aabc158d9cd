import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Cluster } from './support/cluster';
import { eventually } from './support/eventually';
import { Stream } from './support/stream';

const clusters: Cluster[] = [];

async function start(options: Parameters<typeof Cluster.start>[0] = {}): Promise<Cluster> {
  const cluster = await Cluster.start(options);
  clusters.push(cluster);
  return cluster;
}

after(() => Promise.all(clusters.map((cluster) => cluster.stop())));

async function get<T>(url: string): Promise<T> {
  return (await (await fetch(url)).json()) as T;
}

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

  it('keeps a quiet stream open past the timeout that the app has for its answers', async () => {
    const cluster = await start({ config: { serverTimeout: 300, sse: { pingInterval: 1_500 } } });
    const stream = await Stream.open(`${cluster.url}/stream?connectKey=a`);
    await stream.until(({ comments }) => comments.length === 2);
    await get(`${cluster.url}/publish?key=a&data=x`);
    await stream.untilMessages(1);
    stream.close();
  });
});
