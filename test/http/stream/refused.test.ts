import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { SseError } from '../../../lib/base/error';
import type { SseStream } from '../../../lib/http/stream';
import { hubServers } from '../../support/hub';
import { endless, opening } from '../../support/opening';
import { Stream } from '../../support/stream';

describe('a stream that is not let in', () => {
  const start = hubServers();

  /** What a client and the handler hear of it. */
  async function refusalOf(url: string, streams: SseStream[], options: Parameters<typeof fetch>[1] = {}) {
    const source = endless();
    const response = await fetch(url, options);
    const stream = streams.at(-1)!;
    await stream.pipe(source);
    assert.equal(source.pulled, 0);
    assert.equal(source.returned, 1);
    assert.equal(stream.signal.aborted, true);
    await assert.rejects(stream.send('a'), (error) => error === stream.signal.reason);
    assert.equal(await stream.closed, 'refused');
    const { code } = (await response.json()) as { code: string };
    assert.equal(code, (stream.signal.reason as SseError).code);
    return { status: response.status, code };
  }

  it('is answered with what the authorizer threw', async () => {
    const handle = opening();
    const { url } = await start(handle, {
      authorize: () => {
        throw Object.assign(new Error('no'), { status: 403 });
      },
    });
    assert.deepEqual(await refusalOf(url, handle.streams), { status: 403, code: 'ERR_SSE_REFUSED' });
  });

  it('is answered 503 over maxClients, 429 over maxClientsPerUser', async () => {
    const handle = opening();
    const { url } = await start(handle, {
      maxClients: 2,
      maxClientsPerUser: 1,
      authorize: ({ url }) => ({ user: url! }),
    });
    const clients = [await Stream.open(`${url}a`)];
    assert.deepEqual(await refusalOf(`${url}a`, handle.streams), { status: 429, code: 'ERR_SSE_USER_CLIENTS' });
    clients.push(await Stream.open(`${url}b`));
    assert.deepEqual(await refusalOf(`${url}c`, handle.streams), { status: 503, code: 'ERR_SSE_OVERLOAD' });
    for (const client of clients) client.close();
  });

  it('is sent away by an event with overload: retry, but with 503 if it is no GET', async () => {
    const handle = opening();
    const { url } = await start(handle, { maxClients: 1, overload: 'retry' });
    const client = await Stream.open(url);
    const late = await (await Stream.open(url)).untilEnd();
    assert.deepEqual([late.status, late.own('busy').length], [200, 1]);
    const post = await refusalOf(url, handle.streams, { method: 'POST' });
    assert.deepEqual(post, { status: 503, code: 'ERR_SSE_OVERLOAD' });
    client.close();
  });

  it('is answered 400 for a key that nobody may ask for', async () => {
    const handle = opening({ keys: ['@user:bob'] });
    const { url } = await start(handle);
    assert.deepEqual(await refusalOf(url, handle.streams), { status: 400, code: 'ERR_SSE_KEY' });
  });

  it('is answered when the hub is going', async () => {
    const handle = opening();
    const { hub, url } = await start(handle);
    await hub.stop();
    const post = await refusalOf(url, handle.streams, { method: 'POST' });
    assert.deepEqual(post, { status: 503, code: 'ERR_SSE_SHUTDOWN' });
  });

  it('rejects what was sent before', async () => {
    const outcomes: Promise<PromiseSettledResult<void>[]>[] = [];
    const { url, logged } = await start(
      (hub, request, response) => {
        const stream = hub.open(request, response);
        outcomes.push(Promise.allSettled([stream.send('a'), stream.send('b')]));
        void stream.send('nobody awaits it');
      },
      {
        authorize: async () => {
          await pause(20);
          throw Object.assign(new Error('no'), { status: 401 });
        },
      },
    );
    assert.equal((await fetch(url)).status, 401);
    assert.deepEqual(
      (await outcomes[0]!).map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    assert.deepEqual(logged, []);
  });
});
