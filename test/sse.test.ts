import assert from 'node:assert/strict';
import { EventSource } from 'eventsource';
import { SseError } from '../lib/base/error';
import type { SseMessage } from '../lib/message/message';
import { MemoryBroker } from '../lib/broker/memory';
import { eventually } from './support/eventually';
import { plainServers } from './support/plain';
import { Stream } from './support/stream';

describe('app.sse', () => {
  const start = plainServers();

  it('publishes to those who hold the key, and to nobody else', async () => {
    const { sse, url } = await start();
    const [a, b, none] = [
      await Stream.open(`${url}?connectKey=a`),
      await Stream.open(`${url}?connectKey=b`),
      await Stream.open(url),
    ];
    await sse.publish('a', 'for a');
    await sse.publishAll('for all');
    for (const stream of [a, b, none]) await stream.until(({ data }) => data.includes('for all'));
    assert.deepEqual([a.data, b.data, none.data], [['for a', 'for all'], ['for all'], ['for all']]);
    for (const stream of [a, b, none]) stream.close();
  });

  it('sends one copy to a connection that holds several of the keys', async () => {
    const { sse, url } = await start();
    const stream = await Stream.open(`${url}?connectKey=a&connectKey=b&connectKey=c`);
    await sse.publish(['a', 'b', 'b', 'd'], 'once');
    await sse.publish(['c', '@all'], 'and once');
    await sse.publishAll('end');
    await stream.until(({ data }) => data.includes('end'));
    assert.deepEqual(stream.data, ['once', 'and once', 'end']);
    stream.close();
  });

  it('feeds a browser-like EventSource named events and an id it can come back with', async () => {
    const { sse, url } = await start();
    const source = new EventSource(`${url}?connectKey=news`);
    const created = new Promise<MessageEvent>((resolve) => source.addEventListener('created', resolve));
    await eventually(() => sse.count('news') === 1);
    const receipt = await sse.publish('news', { event: 'created', data: { id: 7 } });
    const event = await created;
    assert.deepEqual(JSON.parse(event.data as string), { id: 7 });
    assert.equal(event.lastEventId, receipt.id);
    assert.equal(receipt.reach, 'everywhere');
    source.close();
  });

  it('gives every message a place, and says in the receipt the id that clients get', async () => {
    const { sse, url } = await start();
    const stream = await Stream.open(url);
    const receipts = await Promise.all([
      sse.publishAll('x'),
      sse.publishAll({ data: 'y', id: 'own' }),
      sse.publishAll('z'),
    ]);
    await stream.untilMessages(3);
    assert.deepEqual(
      stream.messages.map(({ id }) => id),
      receipts.map(({ id }) => id),
    );
    assert.equal(receipts[1].id, 'own');
    stream.close();
  });

  it('keeps the order of a burst that nobody awaits', async () => {
    const { sse, url } = await start();
    const streams = await Promise.all(Array.from({ length: 20 }, () => Stream.open(`${url}?connectKey=a`)));
    const expected = Array.from({ length: 5_000 }, (_, i) => String(i));
    for (const data of expected) void sse.publish('a', data);
    for (const stream of streams) {
      await stream.untilMessages(expected.length);
      assert.deepEqual(stream.data, expected);
      assert.deepEqual(stream.own('gap'), []);
      stream.close();
    }
  });

  it('reads the message when it is called: what the caller does to it later changes nothing', async () => {
    const { sse, url } = await start();
    const stream = await Stream.open(`${url}?connectKey=a`);
    const message = { data: { n: 1 }, event: 'e' };
    const keys = ['a'];
    const published = sse.publish(keys, message);
    message.data.n = 2;
    keys[0] = 'b';
    await published;
    await stream.untilMessages(1);
    assert.deepEqual(stream.data, ['{"n":1}']);
    stream.close();
  });

  it('refuses what cannot be, with nothing sent', async () => {
    const { sse, url } = await start();
    const stream = await Stream.open(`${url}?connectKey=a`);
    const wrong: [string, unknown, unknown, unknown?][] = [
      ['ERR_SSE_KEY', undefined, 'x'],
      ['ERR_SSE_KEY', '', 'x'],
      ['ERR_SSE_KEY', 5, 'x'],
      ['ERR_SSE_KEY', [], 'x'],
      ['ERR_SSE_KEY', ['a', 5], 'x'],
      ['ERR_SSE_KEY', { data: 'x' }, undefined],
      ['ERR_SSE_MESSAGE', 'a', undefined],
      ['ERR_SSE_EVENT', 'a', { data: 'x', event: 'a\nb' }],
      ['ERR_SSE_EVENT', 'a', { data: 'x', event: 'sse:bye' }],
      ['ERR_SSE_ID', 'a', { data: 'x', id: 'a\0b' }],
      ['ERR_SSE_DATA', 'a', { data: 1n }],
      ['ERR_SSE_REACH', 'a', 'x', { reach: 'galaxy' }],
    ];
    for (const [code, key, message, options] of wrong) {
      await assert.rejects(
        sse.publish(key as string, message as SseMessage, options as object),
        (error) => error instanceof SseError && error.code === code,
        `${code} for ${JSON.stringify(key)}`,
      );
    }
    await sse.publish('a', 'end');
    await stream.untilMessages(1);
    assert.deepEqual(stream.data, ['end']);
    stream.close();
  });

  it('logs a failure that nobody awaits', async () => {
    const { sse, logged } = await start();
    void sse.publish('', 'x');
    await eventually(() => logged.length === 1);
    assert.match(logged[0]!, /nobody awaited/);
  });

  it('counts connections by key and in all, and forgets an empty pool at once', async () => {
    const { sse, url } = await start();
    const streams = [
      await Stream.open(`${url}?connectKey=a&connectKey=b`),
      await Stream.open(`${url}?connectKey=a`),
      await Stream.open(url),
    ];
    assert.deepEqual([sse.count('a'), sse.count('b'), sse.count('c'), sse.count(), sse.countAll()], [2, 1, 0, 3, 3]);
    for (const stream of streams) stream.close();
    await eventually(() => sse.countAll() === 0);
    assert.deepEqual([sse.count('a'), sse.count('b')], [0, 0]);
  });

  it('ends the connections of a key, or all, with sse:bye, and says how many', async () => {
    const { sse, url } = await start();
    const [a, b, c] = [
      await Stream.open(`${url}?connectKey=a`),
      await Stream.open(`${url}?connectKey=b`),
      await Stream.open(url),
    ];
    assert.equal(sse.close('a'), 1);
    await a.untilEnd();
    assert.deepEqual(
      a.own('bye').map(({ data }) => JSON.parse(data) as unknown),
      [{ reason: 'closed' }],
    );
    assert.deepEqual([sse.count('a'), sse.countAll(), b.ended], [0, 2, false]);
    assert.equal(sse.close('nobody'), 0);
    assert.equal(sse.closeAll(), 2);
    await b.untilEnd();
    await c.untilEnd();
    assert.equal(sse.countAll(), 0);
  });

  it('tells listeners what happens, and one that throws disturbs nobody', async () => {
    const { sse, url, logged } = await start();
    const seen: [string, unknown][] = [];
    const note = (name: string) => (what: unknown) => void seen.push([name, what]);
    sse.on('deliver', () => {
      throw new Error('mine');
    });
    const onOpen = note('open');
    sse.on('open', onOpen).on('close', note('close')).on('deliver', note('deliver'));
    const stream = await Stream.open(`${url}?connectKey=a`);
    const { id } = await sse.publish('a', { event: 'e', data: 'x' });
    await stream.untilMessages(1);
    sse.off('open', onOpen);
    stream.close();
    await eventually(() => seen.some(([name]) => name === 'close'));
    (await Stream.open(url)).close();
    const close = seen.find(([name]) => name === 'close')![1] as { openMs: number };
    assert.ok(close.openMs > 0);
    assert.deepEqual(seen.slice(0, 3), [
      ['open', { keys: ['a'], user: undefined, data: undefined, resumed: false }],
      ['deliver', { keys: ['a'], event: 'e', id, bytes: `event: e\ndata: x\nid: ${id}\n\n`.length }],
      ['close', { keys: ['a'], user: undefined, data: undefined, reason: 'client', openMs: close.openMs }],
    ]);
    assert.match(logged[0]!, /mine/);
  });

  it('lets a client that has heard more than this worker wait, without a gap, and gives it nothing twice', async () => {
    class LateBroker extends MemoryBroker {
      override async catchUp(): Promise<boolean> {
        return false;
      }
    }
    const { sse, url } = await start({}, new LateBroker());
    const { id } = await sse.publish('a', '1');
    const ahead = id.replace(/1$/, '3');
    const stream = await Stream.open(`${url}?connectKey=a`, { headers: { 'Last-Event-ID': ahead } });
    await stream.until(({ events }) => events.length > 0);
    assert.equal(stream.own('hello')[0]!.id, ahead);
    for (const text of ['2', '3', '4']) await sse.publish('a', text);
    await stream.untilMessages(1);
    await sse.publish('a', '5');
    await stream.untilMessages(2);
    assert.deepEqual(stream.data, ['4', '5']);
    assert.deepEqual(stream.own('gap'), []);
    stream.close();
  });

  it('resumes a client that comes back with its last event id, by header or query', async () => {
    const { sse, url } = await start();
    const first = await Stream.open(`${url}?connectKey=a&connectKey=b`);
    await sse.publish('a', '1');
    await first.untilMessages(1);
    first.close();
    await sse.publish('b', '2');
    await sse.publish('c', 'not theirs');
    await sse.publishAll('3');
    await sse.publish(['a', 'b'], { data: '4', id: 'own' });
    const id = first.lastEventId;
    const byHeader = await Stream.open(`${url}?connectKey=a&connectKey=b`, { headers: { 'Last-Event-ID': id } });
    const byQuery = await Stream.open(`${url}?connectKey=b&connectKey=a&lastEventId=${id}`);
    const byOwnId = await Stream.open(`${url}?connectKey=b&lastEventId=own`);
    await sse.publish('b', '5');
    for (const stream of [byHeader, byQuery, byOwnId]) await stream.until(({ data }) => data.includes('5'));
    assert.deepEqual(byHeader.data, ['2', '3', '4', '5']);
    assert.deepEqual(byQuery.data, ['2', '3', '4', '5']);
    assert.deepEqual(byOwnId.data, ['5']);
    assert.deepEqual(byHeader.own('gap'), []);
    for (const stream of [byHeader, byQuery, byOwnId]) stream.close();
  });

  it('resumes a client that left before its first message', async () => {
    const { sse, url } = await start();
    const first = await (await Stream.open(`${url}?connectKey=a`)).until(({ events }) => events.length === 1);
    first.close();
    await sse.publish('a', 'missed');
    const second = await Stream.open(`${url}?connectKey=a`, { headers: { 'Last-Event-ID': first.lastEventId } });
    await second.untilMessages(1);
    assert.deepEqual(second.data, ['missed']);
    second.close();
  });

  it('tells a client whose id nobody knows of the gap, and again if it drops in between', async () => {
    const { sse, url } = await start();
    await sse.publish('a', 'before');
    const stream = await Stream.open(`${url}?connectKey=a`, { headers: { 'Last-Event-ID': 'nonsense' } });
    await sse.publish('a', 'after');
    await stream.untilMessages(1);
    assert.deepEqual(
      stream.events.map(({ event }) => event),
      ['sse:hello', 'sse:gap', undefined],
    );
    assert.deepEqual(JSON.parse(stream.own('gap')[0]!.data), { reason: 'unknown', keys: ['@all', '@anonymous', 'a'] });
    assert.equal(stream.own('hello')[0]!.id, 'nonsense');
    assert.deepEqual(stream.data, ['after']);
    const second = await Stream.open(`${url}?connectKey=a&lastEventId=${stream.own('gap')[0]!.id}`);
    await second.untilMessages(1);
    assert.deepEqual([second.data, second.own('gap')], [['after'], []]);
    stream.close();
    second.close();
  });

  it('tells a client of what has left the history while it was away', async () => {
    const { sse, url } = await start({ history: { age: 60_000, count: 2, bytes: 1_000_000 } });
    const { id } = await sse.publish('a', '0');
    for (let i = 1; i <= 5; i++) await sse.publish('a', String(i));
    const stream = await Stream.open(`${url}?connectKey=a&connectKey=b&lastEventId=${id}`);
    await stream.untilMessages(2);
    assert.deepEqual(JSON.parse(stream.own('gap')[0]!.data), { reason: 'evicted', keys: ['a'] });
    assert.deepEqual(stream.data, ['4', '5']);
    const other = await Stream.open(`${url}?connectKey=b&lastEventId=${id}`);
    await sse.publish('b', 'x');
    await other.untilMessages(1);
    assert.deepEqual(other.own('gap'), []);
    stream.close();
    other.close();
  });

  it('keeps nothing with history: false, serves those who are there, and tells the others', async () => {
    const { sse, url } = await start({ history: false });
    const stream = await Stream.open(`${url}?connectKey=a`);
    const { id } = await sse.publish('a', '1');
    for (let i = 2; i <= 100; i++) void sse.publish('a', String(i));
    await stream.untilMessages(100);
    assert.equal(stream.data.join(), Array.from({ length: 100 }, (_, i) => i + 1).join());
    const second = await Stream.open(`${url}?connectKey=a&lastEventId=${id}`);
    await second.until(({ events }) => events.length >= 2);
    assert.deepEqual(second.own('gap').length, 1);
    stream.close();
    second.close();
  });
});
