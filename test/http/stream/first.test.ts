import assert from 'node:assert/strict';
import { eventually } from '../../support/eventually';
import { hubServers } from '../../support/hub';
import { opening } from '../../support/opening';
import { Stream } from '../../support/stream';

const count = (n: number): string[] => Array.from({ length: n }, (_, i) => String(i));

describe('first', () => {
  const start = hubServers();

  it('goes out before anything live, as a message', async () => {
    for (const keys of [undefined, ['a']]) {
      const { url } = await start((hub, request, response) => {
        const stream = hub.open(request, response, { keys, first: { event: 'first', data: 1 } });
        void stream.send('sent');
      });
      const client = await Stream.open(url);
      await client.untilMessages(2);
      assert.deepEqual(client.data, ['1', 'sent']);
      client.close();
    }
  });

  it('is loaded once the stream has its place: what is published meanwhile comes after it, once', async () => {
    let state = 0;
    const { hub, url } = await start((hub, request, response) => {
      const stream = hub.open(request, response, {
        keys: ['a'],
        first: async () => {
          const loaded = state;
          for (let i = 0; i < 20; i++) await hub.publish('a', String(++state));
          return { event: 'state', data: loaded };
        },
      });
      void stream.send('sent');
    });
    const client = await Stream.open(url);
    await client.untilMessages(22);
    await hub.publish('a', 'end');
    await client.untilMessages(23);
    assert.equal(client.messages[0]!.event, 'state');
    assert.deepEqual(
      client.data.filter((data) => data !== 'sent'),
      ['0', ...count(21).slice(1), 'end'],
    );
    client.close();
  });

  it('knows whether the client has missed anything', async () => {
    const seen: boolean[] = [];
    const { hub, url } = await start(
      opening({ keys: ['a'], first: ({ resumed }) => (seen.push(resumed), resumed ? undefined : 'state') }),
      { history: { count: 3 } },
    );
    const client = await Stream.open(url);
    await client.untilMessages(1);
    const { lastEventId } = client;
    assert.notEqual(lastEventId, '');
    client.close();
    await hub.publish('a', '1');
    const again = await Stream.open(`${url}?lastEventId=${lastEventId}`);
    await again.untilMessages(1);
    assert.deepEqual(again.data, ['1']);
    for (const message of count(9)) await hub.publish('a', message);
    const late = await Stream.open(`${url}?lastEventId=${lastEventId}`);
    await late.untilMessages(4);
    assert.deepEqual(late.data, ['state', '6', '7', '8']);
    assert.equal(
      late.events.findIndex(({ event }) => event === 'sse:gap'),
      1,
    );
    assert.deepEqual(seen, [false, true, false]);
    for (const each of [again, late]) each.close();
  });

  it('is asked for again by a client that was cut off before it', async () => {
    let load = (): void => undefined;
    const { hub, url } = await start(
      opening({
        keys: ['a'],
        first: async ({ resumed }) => {
          if (resumed) return undefined;
          await new Promise<void>((resolve) => (load = resolve));
          return 'state';
        },
      }),
      { pingInterval: 20 },
    );
    const cut = await Stream.open(url);
    await cut.until(({ comments }) => comments.length > 0);
    assert.deepEqual([cut.lastEventId, cut.events.length], ['', 0]);
    await hub.publish('a', '1');
    cut.close();
    load();
    const again = await Stream.open(url);
    await eventually(() => hub.countAll() === 1);
    await again.until(({ comments }) => comments.length > 0);
    await hub.publish('a', '2');
    load();
    await again.untilMessages(2);
    assert.deepEqual(again.data, ['state', '2']);
    again.close();
  });

  it('that fails is an error of the source: the client has no place then, and begins anew', async () => {
    const { url, logged } = await start(
      opening({
        keys: ['a'],
        first: async () => {
          throw new Error('secret');
        },
      }),
    );
    const client = await (await Stream.open(url)).untilEnd();
    assert.deepEqual([client.own('error').length, client.events.length, client.lastEventId], [1, 1, '']);
    assert.doesNotMatch(client.text, /secret/);
    assert.equal(logged.length, 1);
  });

  it('that comes too late disturbs nobody', async () => {
    let load = (_: string): void => undefined;
    const handle = opening({ first: () => new Promise<string>((resolve) => (load = resolve)) });
    const { hub, url, logged } = await start(handle);
    const client = await Stream.open(url);
    client.close();
    await handle.streams[0]!.closed;
    load('late');
    await eventually(() => hub.countAll() === 0);
    assert.deepEqual(logged, []);
  });
});
