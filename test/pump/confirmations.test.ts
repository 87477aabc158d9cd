import assert from 'node:assert/strict';
import type { Connection } from '../../lib/connection/connection';
import { Confirmations } from '../../lib/pump/confirmations';
import { Pools } from '../../lib/connection/pools';
import type { Reader } from '../../lib/log/reader';
import { plainServers } from '../support/plain';
import { ReadLog } from '../support/read_log';
import { Stream } from '../support/stream';

async function open(url: string, options?: Parameters<typeof Stream.open>[1]): Promise<Stream> {
  return (await Stream.open(url, options)).until(({ events }) => events.length > 0);
}

describe('Confirmations', () => {
  it('counts who was there when it arrived, or had come back from before it, by a key held then', async () => {
    const log = new ReadLog({ age: 1e9, count: 1e9, bytes: 1e9 });
    log.begin({ epoch: 'aaaaaaaa', seq: 0 });
    const append = (seq: number): { offset: number; keys: string[] } => {
      log.append({ keys: ['a'], body: 'data: x\n', position: { epoch: 'aaaaaaaa', seq } });
      return { offset: log.head, keys: ['a'] };
    };
    append(1);
    const pools = new Pools(() => false);
    const enter = (reader: Reader): Reader => {
      for (const key of ['@all', 'a']) pools.enter(key, { reader } as Connection);
      return reader;
    };
    const granted = enter(log.fromHead(['b']));
    const { reader: back } = log.resume('aaaaaaaa-1', ['a']);
    const all = [enter(log.fromHead(['a'])), granted, enter(back), enter(log.readers.unplaced(['a']))];
    const confirmations = new Confirmations(pools);
    const counted = confirmations.count('name');
    confirmations.arrive('name', append(2));
    log.rekey(granted, ['a', 'b']);
    all.push(enter(log.fromHead(['a'])), enter(log.resume('aaaaaaaa-2', ['a']).reader));
    for (const reader of all) log.read(reader, 1e9);
    confirmations.pass(2);
    assert.equal(await counted, 2);
  });

  it('says that a message has not arrived', async () => {
    assert.equal(await new Confirmations(new Pools(() => false)).count('name'), null);
  });
});

describe('publish with confirm', () => {
  const start = plainServers();

  it('says how many connections took it, each once, however many of its keys they hold', async () => {
    const { sse, url } = await start();
    const streams = await Promise.all(['a', 'a&connectKey=b', 'b', 'c'].map((key) => open(`${url}?connectKey=${key}`)));
    const receipt = await sse.publish(['a', 'b'], 'x', { confirm: true });
    assert.match(receipt.id, /^[0-9a-z]{8}-1$/);
    assert.deepEqual({ ...receipt, id: '' }, { id: '', reach: 'everywhere', clients: 3, complete: true });
    const { clients, complete } = await sse.publishAll('y', { confirm: true });
    assert.deepEqual({ clients, complete }, { clients: 4, complete: true });
    assert.equal((await sse.publish('nobody', 'z', { confirm: true })).clients, 0);
    for (const stream of streams) stream.close();
  });

  it('says nothing of it otherwise', async () => {
    const { sse } = await start();
    assert.deepEqual(Object.keys(await sse.publish('a', 'x')), ['id', 'reach']);
    assert.deepEqual(Object.keys(await sse.publish('a', 'x', { confirm: false })), ['id', 'reach']);
  });

  it('counts with history: false, and while many are published at once', async () => {
    const { sse, url } = await start({ history: false });
    const streams = await Promise.all(Array.from({ length: 20 }, () => open(`${url}?connectKey=a`)));
    const receipts = await Promise.all(
      Array.from({ length: 200 }, (_, i) => sse.publish('a', String(i), { confirm: true })),
    );
    assert.deepEqual(new Set(receipts.map(({ clients }) => clients)), new Set([20]));
    for (const stream of streams) {
      await stream.untilMessages(200);
      stream.close();
    }
  });

  it('counts no client that is stalled, and does not wait for it for long', async () => {
    const { sse, url } = await start({ maxUnsentBytes: 100_000 });
    const [stalled, healthy] = [await open(`${url}?connectKey=a`), await open(`${url}?connectKey=a`)];
    stalled.pause();
    for (let i = 0; i < 100; i++) await sse.publish('a', 'x'.repeat(100_000));
    await healthy.untilMessages(100);
    const began = performance.now();
    const { clients, complete } = await sse.publish('a', 'x', { confirm: true });
    assert.deepEqual({ clients, complete }, { clients: 1, complete: true });
    assert.ok(performance.now() - began < 2_000);
    stalled.close();
    healthy.close();
  });

  it('counts a client that lags behind for a moment', async () => {
    const { sse, url } = await start({ maxUnsentBytes: 100_000 });
    const stream = await open(`${url}?connectKey=a`);
    stream.pause();
    for (let i = 0; i < 50; i++) await sse.publish('a', 'x'.repeat(100_000));
    const confirmed = sse.publish('a', 'x', { confirm: true });
    stream.resume();
    assert.equal((await confirmed).clients, 1);
    stream.close();
  });

  it('rejects as always', async () => {
    const { sse } = await start();
    await assert.rejects(sse.publish('', 'x', { confirm: true }), { code: 'ERR_SSE_KEY' });
    await assert.rejects(sse.publish('a', 'x', { confirm: 'yes' as never }), { code: 'ERR_SSE_OPTIONS' });
    await sse.stop();
    await assert.rejects(sse.publish('a', 'x', { confirm: true }), { code: 'ERR_SSE_STOPPED' });
  });
});
