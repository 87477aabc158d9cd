import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { SseStream } from '../../../lib/http/stream';
import { eventually } from '../../support/eventually';
import { hubServers } from '../../support/hub';
import { stuck } from '../../support/opening';
import { Stream } from '../../support/stream';

describe('opens and aborts', () => {
  const start = hubServers();

  it('leave nothing behind: 1,000 of them, each with a source', async () => {
    const returned = { sources: 0, opened: 0 };
    const contexts: WeakRef<object>[] = [];
    const { hub, server, url, logged } = await start((hub, request, response) => {
      returned.opened++;
      const ctx = { request, load: Buffer.alloc(1_000) };
      contexts.push(new WeakRef(ctx));
      const stream = hub.endpoint.open(request, response, returned.opened % 2 === 0 ? { keys: ['a'] } : {}, ctx);
      const source = stuck();
      void stream.pipe(source).then(() => (returned.sources += source.returned));
    });
    for (let i = 0; i < 20; i++) {
      const clients = await Promise.all(Array.from({ length: 50 }, () => Stream.open(url)));
      for (const client of clients) client.close();
    }
    await eventually(() => returned.sources === 1_000 && hub.countAll() === 0);
    assert.deepEqual([hub.stats.connections, hub.stats.pools, hub.stats.unsentBytes], [0, 0, 0]);
    assert.equal(server.listenerCount('close'), 0);
    assert.deepEqual(logged, []);
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    await eventually(() => {
      collectGarbage();
      return contexts.filter((context) => context.deref() !== undefined).length < 10;
    });
  });

  it('hold nothing of the request while a stream is open', async () => {
    const handle: { context?: WeakRef<object>; stream?: SseStream } = {};
    const { url } = await start(
      (hub, request, response) => {
        const ctx = { request };
        handle.context = new WeakRef(ctx);
        handle.stream = hub.endpoint.open(request, response, { keys: ['a'], first: 'a' }, ctx);
      },
      { authorize: () => ({ user: 'ann' }) },
    );
    const client = await Stream.open(url);
    await client.untilMessages(1);
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    await eventually(() => {
      collectGarbage();
      return handle.context!.deref() === undefined;
    });
    await handle.stream!.send('b');
    await client.untilMessages(2);
    client.close();
  });
});
