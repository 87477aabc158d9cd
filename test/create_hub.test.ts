import assert from 'node:assert/strict';
import { createHub } from '../lib/create_hub';
import type { SseError } from '../lib/base/error';
import { user } from '../lib/message/keys';
import { eventually } from './support/eventually';
import { hubServers, type Handler } from './support/hub';
import { RedisServer } from './support/redis_server';
import { Stream } from './support/stream';

const serve: Handler = (hub, request, response) => hub.serve(request, response);

describe('a hub without Egg', () => {
  const start = hubServers();

  it('serves streams at once, with what it publishes', async () => {
    const { hub, url } = await start(serve);
    const stream = await Stream.open(`${url}?connectKey=news`);
    const { id, reach } = await hub.publish('news', 'hi');
    await stream.untilMessages(1);
    assert.deepEqual([stream.data, stream.lastEventId, reach], [['hi'], id, 'everywhere']);
    assert.deepEqual(await hub.total('news'), { clients: 1, complete: true });
    stream.close();
  });

  it('answers 405 to what opens no stream, and takes what services post if it has a secret', async () => {
    const closed = await start(serve);
    assert.equal((await fetch(closed.url, { method: 'POST' })).status, 405);
    const secret = 'a-secret-of-24-character';
    const { url } = await start(serve, { publisher: { secret } });
    const stream = await Stream.open(`${url}?connectKey=a`);
    const response = await fetch(url, {
      method: 'POST',
      headers: { Authorization: `Bearer ${secret}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ key: 'a', data: 1 }),
    });
    assert.equal(response.status, 200);
    await stream.untilMessages(1);
    stream.close();
  });

  it('serves the browser client', async () => {
    const { url } = await start((hub, request, response) => hub.serveClient(request, response));
    const response = await fetch(url);
    assert.equal(response.status, 200);
    assert.match(await response.text(), /export\s*\{.*connect/s);
    const etag = response.headers.get('etag')!;
    assert.equal((await fetch(url, { headers: { 'if-none-match': etag } })).status, 304);
  });

  it('says who a client is, whatever its name is made of', async () => {
    const { url } = await start(serve, { authorize: () => ({ user: 'half \ud800' }) });
    const head = await fetch(url, { method: 'HEAD' });
    assert.equal(decodeURIComponent(head.headers.get('sse-user')!), 'half \ufffd');
  });

  it('asks its authorizer, with the request', async () => {
    const { hub, url } = await start(serve, {
      authorize: ({ headers }) => ({ user: String(headers['x-user']), keys: [] }),
    });
    const stream = await Stream.open(`${url}?connectKey=a`, { headers: { 'X-User': 'ann' } });
    assert.deepEqual([hub.count(user('ann')), hub.count('a')], [1, 0]);
    stream.close();
  });

  it('has the defaults of the plugin, each option of a group by itself', async () => {
    const { url } = await start(serve, { headers: { 'X-Own': 'yes' }, history: { count: 1 }, retry: 77 });
    const stream = await Stream.open(url);
    await stream.until(({ events }) => events.length > 0);
    assert.deepEqual(
      [stream.headers['x-own'], stream.headers['x-accel-buffering'], stream.retries],
      ['yes', 'no', [77]],
    );
    stream.close();
  });

  it('is not made of options that are wrong', () => {
    const code = (options: object): string => {
      try {
        createHub(options);
        return '';
      } catch (error) {
        return (error as SseError).code;
      }
    };
    assert.deepEqual([{ maxClients: 0 }, { maxClient: 1 }, { bridges: {} }, { history: 7 }].map(code), [
      'ERR_SSE_CONFIG',
      'ERR_SSE_CONFIG',
      'ERR_SSE_CONFIG',
      'ERR_SSE_CONFIG',
    ]);
  });

  it('keeps no process alive, ends its streams when it is stopped, and takes no more', async () => {
    const { hub, url } = await start(serve);
    const stream = await Stream.open(url);
    await hub.stop();
    await stream.untilEnd();
    assert.equal(stream.own('bye').length, 1);
    const late = await (await Stream.open(url)).untilEnd();
    assert.equal(late.own('busy').length, 1);
  });

  it('shares one order with the others of its name, with Redis', async () => {
    const redis = await RedisServer.start();
    const options = { redis: { host: '127.0.0.1', port: redis.port }, name: 'shared' };
    const servers = await Promise.all([start(serve, options), start(serve, options)]);
    const other = await start(serve, { ...options, name: 'other' });
    const urls = [...servers, other].map(({ url }) => `${url}?connectKey=a`);
    const streams = await Promise.all(urls.map((url) => Stream.open(url)));
    await eventually(async () => {
      const { clients, complete } = await servers[0].hub.total('a');
      return clients === 2 && complete;
    });
    const ids = [];
    for (let i = 0; i < 10; i++) ids.push((await servers[i % 2]!.hub.publish('a', String(i))).id);
    const [a, b, apart] = streams;
    for (const stream of [a!, b!]) {
      await stream.untilMessages(10);
      assert.deepEqual(
        stream.messages.map(({ id }) => id),
        ids,
      );
    }
    assert.deepEqual(apart!.data, []);
    for (const stream of streams) stream.close();
    await Promise.all([...servers, other].map((server) => server.close()));
    await redis.stop();
  });
});
