import assert from 'node:assert/strict';
import fc from 'fast-check';
import { user } from '../../lib';
import { MemoryBroker } from '../../lib/broker/memory';
import { assemble, type Parts } from '../../lib/parts';
import { eventually } from '../support/eventually';
import { optionsWith, plainServers, type PlainServer } from '../support/plain';
import { Stream } from '../support/stream';

const MAILBOX = { keys: ['box:*'], age: 60_000, count: 1_000, bytes: 1e8 };

const open = async (url: string, lastEventId?: string): Promise<Stream> => {
  const stream = await Stream.open(url, { headers: lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId } });
  return stream.until(({ events }) => events.length > 0);
};

/** What a client gets that opens now and waits for a last word. */
async function read({ url, sse }: PlainServer, keys: readonly string[], lastEventId?: string): Promise<Stream> {
  const query = keys.map((key) => `connectKey=${encodeURIComponent(key)}`).join('&');
  const stream = await open(`${url}?${query}`, lastEventId);
  await sse.publish(keys[0]!, 'end');
  await stream.until(({ data }) => data.includes('end'));
  stream.close();
  await eventually(() => sse.countAll() === 0);
  return stream;
}

const gapsOf = (stream: Stream): unknown[] => stream.own('gap').map(({ data }) => JSON.parse(data) as unknown);

describe('a mailbox', () => {
  const start = plainServers();
  const startWith = (mailbox: object = {}, options: object = {}): Promise<PlainServer> =>
    start({ mailbox: { ...MAILBOX, ...mailbox }, ...options });

  it('keeps what is published while nobody is there, and gives it once, in order, before what is live', async () => {
    const server = await startWith();
    for (const text of ['1', '2', '3']) await server.sse.publish('box:ann', text);
    const first = await open(`${server.url}?connectKey=box:ann`);
    await server.sse.publish('box:ann', '4');
    await first.untilMessages(4);
    assert.deepEqual(first.data, ['1', '2', '3', '4']);
    first.close();
    assert.deepEqual((await read(server, ['box:ann'])).data, ['end']);
  });

  it('gives a client of other keys none of what they had before it came', async () => {
    const server = await startWith();
    await server.sse.publish('news', 'old');
    await server.sse.publish(['news', 'box:ann'], 'for both');
    await server.sse.publish('news', 'old as well');
    await server.sse.publish('box:bob', 'not hers');
    const stream = await read(server, ['news', 'box:ann', 'box:eve']);
    assert.deepEqual(stream.data, ['for both', 'end']);
    assert.deepEqual(gapsOf(stream), []);
  });

  it('is of a user, when the authorizer says who it is', async () => {
    const server = await startWith({ keys: [user('*')] });
    server.sse.authorize(() => ({ user: 'ann' }));
    await server.sse.publish(user('ann'), 'hello');
    await server.sse.publish(user('bob'), 'not hers');
    assert.deepEqual((await read(server, ['a'])).data, ['hello', 'end']);
    assert.deepEqual((await read(server, ['a'])).data, ['end']);
  });

  it('is read by one of two devices, and what comes while both are there by both', async () => {
    const server = await startWith();
    await server.sse.publish('box:ann', 'waits');
    const first = await open(`${server.url}?connectKey=box:ann`);
    await first.untilMessages(1);
    const second = await open(`${server.url}?connectKey=box:ann`);
    await server.sse.publish('box:ann', 'live');
    await first.untilMessages(2);
    await second.untilMessages(1);
    assert.deepEqual([first.data, second.data], [['waits', 'live'], ['live']]);
    first.close();
    second.close();
  });

  it('is left as it is by a client that is cut off in the middle of its mail: it goes on there, with all its keys', async () => {
    const server = await startWith();
    await server.sse.publish('box:ann', '1');
    await server.sse.publish('news', 'before she came');
    await server.sse.publish('box:ann', '2');
    await server.sse.publish('box:ann', '3');
    const stream = await open(`${server.url}?connectKey=news&connectKey=box:ann`);
    await stream.untilMessages(3);
    stream.close();
    await server.sse.publish('news', 'while she was away');
    const ids = [stream.own('hello')[0]!, ...stream.messages].map(({ id }) => id);
    const rest = ['1', '2', '3', 'while she was away'];
    for (const [i, id] of ids.entries()) {
      const back = await read(server, ['box:ann', 'news'], id);
      assert.deepEqual(back.data.slice(0, 4 - i), rest.slice(i));
      assert.deepEqual(gapsOf(back), []);
    }
  });

  it('outlives the history, and costs the other keys of its messages nothing', async () => {
    const server = await startWith({}, { history: { age: 20, count: 1_000, bytes: 1e8 }, pingInterval: 200 });
    await server.sse.publish(['box:ann', 'news'], '1');
    await server.sse.publish('box:ann', '2');
    await eventually(() => server.sse.stats.historyMessages === 0 && server.sse.stats.mailMessages === 2);
    assert.equal(server.sse.stats.historyBytes, 0);
    const stream = await read(server, ['box:ann', 'news']);
    assert.deepEqual([stream.data, gapsOf(stream)], [['1', '2', 'end'], []]);
    await eventually(() => server.sse.stats.mailMessages === 0);
    assert.equal(server.sse.stats.mailBytes, 0);
    assert.deepEqual((await read(server, ['box:ann'])).data, ['end']);
  });

  it('gives a client that comes back with an old id what it missed, though the history has let go of it', async () => {
    const server = await startWith({}, { history: { age: 20, count: 1_000, bytes: 1e8 }, pingInterval: 200 });
    const before = await read(server, ['box:ann', 'news']);
    await server.sse.publish('box:ann', '1');
    await server.sse.publish('news', '2');
    await eventually(() => server.sse.stats.historyMessages === 0);
    const back = await read(server, ['box:ann', 'news'], before.lastEventId);
    assert.deepEqual(back.data, ['1', 'end']);
    assert.deepEqual(gapsOf(back), [{ reason: 'expired', keys: ['news'] }]);
  });

  it('works without a history', async () => {
    const server = await startWith({}, { history: false });
    for (const text of ['1', '2']) await server.sse.publish('box:ann', text);
    await server.sse.publish('news', 'x');
    assert.deepEqual((await read(server, ['box:ann', 'news'])).data, ['1', '2', 'end']);
    assert.deepEqual((await read(server, ['box:ann', 'news'])).data, ['end']);
  });

  it('tells once that mail has waited for too long, and gives the rest', async () => {
    const history = { age: 20, count: 1_000, bytes: 1e8 };
    const server = await startWith({ age: 200 }, { pingInterval: 200, history });
    await server.sse.publish('box:ann', '1');
    await server.sse.publish('box:bob', 'read in time');
    assert.deepEqual((await read(server, ['box:bob'])).data, ['read in time', 'end']);
    const gap = async (key: string): Promise<unknown[]> => {
      const stream = await open(`${server.url}?connectKey=${key}`);
      stream.close();
      return gapsOf(stream);
    };
    await eventually(() => server.sse.stats.mailMessages === 1);
    await eventually(() => server.sse.stats.mailMessages === 0);
    assert.deepEqual(await gap('box:ann'), [{ reason: 'expired', keys: ['box:ann'] }]);
    assert.deepEqual(await gap('box:ann'), []);
    assert.deepEqual(await gap('box:bob'), []);
  });

  it('holds at most count messages, the newest, and tells of the others', async () => {
    const server = await startWith({ count: 3 });
    for (let i = 1; i <= 10; i++) await server.sse.publish('box:ann', String(i));
    const stream = await read(server, ['box:ann']);
    assert.deepEqual(gapsOf(stream), [{ reason: 'evicted', keys: ['box:ann'] }]);
    assert.deepEqual(stream.data, ['8', '9', '10', 'end']);
    const again = await read(server, ['box:ann']);
    assert.deepEqual([again.data, gapsOf(again)], [['end'], []]);
  });

  it('does not count what a client that is there reads, however much comes at once', async () => {
    const server = await startWith({ count: 3 });
    const stream = await open(`${server.url}?connectKey=box:ann`);
    await Promise.all(Array.from({ length: 500 }, (_, i) => server.sse.publish('box:ann', String(i))));
    await stream.untilMessages(500);
    stream.close();
    const again = await read(server, ['box:ann']);
    assert.deepEqual([again.data, gapsOf(again)], [['end'], []]);
  });

  it('never costs more than bytes, and tells of what went', async () => {
    const bytes = 200_000;
    const server = await startWith({ bytes }, { history: { age: 1e6, count: 10, bytes: 100_000 } });
    for (let i = 0; i < 1_000; i++) {
      await server.sse.publish(`box:${i}`, 'x'.repeat(1_000));
      assert.ok(server.sse.stats.mailBytes <= bytes);
    }
    assert.ok(server.sse.stats.mailMessages > 50);
    const [oldest, newest] = [await read(server, ['box:0']), await read(server, ['box:999'])];
    assert.deepEqual(gapsOf(oldest), [{ reason: 'evicted', keys: ['box:0'] }]);
    assert.deepEqual([newest.data.length, gapsOf(newest)], [2, []]);
  });

  it('gives the mail of a key that is granted later', async () => {
    let keys = ['a'];
    const server = await startWith();
    server.sse.authorize(() => ({ keys }));
    await server.sse.publish('box:ann', '1');
    await server.sse.publish('a', 'before it came');
    const stream = await open(server.url);
    await server.sse.publish('a', '2');
    await stream.untilMessages(1);
    keys = ['a', 'box:ann'];
    await server.sse.reauthorize('a');
    await stream.untilMessages(2);
    await server.sse.publish('box:ann', '3');
    await stream.untilMessages(3);
    assert.deepEqual(stream.data, ['2', '1', '3']);
    stream.close();
    assert.deepEqual((await read(server, keys)).data, ['end']);
  });

  it('gives messages with the ids that their publisher gave them', async () => {
    const server = await startWith();
    for (const id of ['own-1', 'own-2']) await server.sse.publish('box:ann', { id, data: id });
    const stream = await read(server, ['box:ann']);
    assert.deepEqual(
      stream.messages.slice(0, 2).map(({ id }) => id),
      ['own-1', 'own-2'],
    );
  });

  it('gives a slow client its mail as it reads, whole', async () => {
    const server = await startWith({}, { maxUnsentBytes: 64 * 1024 });
    const text = 'x'.repeat(10_000);
    for (let i = 0; i < 500; i++) await server.sse.publish('box:ann', `${i} ${text}`);
    const stream = await Stream.open(`${server.url}?connectKey=box:ann`);
    stream.pause();
    await server.sse.publish('box:ann', 'live');
    assert.ok(server.sse.stats.unsentBytes < 200_000);
    stream.resume();
    await stream.untilMessages(501);
    assert.deepEqual(
      stream.data.map((data) => data.split(' ')[0]),
      [...Array.from({ length: 500 }, (_, i) => String(i)), 'live'],
    );
    stream.close();
  });

  it('comes to those whose id nobody knows, after they are told so', async () => {
    const server = await startWith();
    await server.sse.publish('box:ann', '1');
    const stream = await read(server, ['box:ann'], 'nonsense');
    assert.deepEqual(gapsOf(stream), [{ reason: 'unknown', keys: ['@all', '@anonymous', 'box:ann'] }]);
    assert.deepEqual(stream.data, ['1', 'end']);
  });
});

describe('mailboxes of two processes', () => {
  it('lose nothing in silence and give nothing twice, whatever is published, read, let go of and handed on (fuzzed)', () => {
    const boxes = ['box:a', 'box:b'];
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ publish: fc.subarray([...boxes, 'news'], { minLength: 1 }) }) },
      {
        weight: 3,
        arbitrary: fc.record({
          read: fc.nat(1),
          of: fc.subarray(boxes, { minLength: 1 }),
          bytes: fc.constantFrom(1, 1e6),
        }),
      },
      { weight: 1, arbitrary: fc.record({ restart: fc.nat(1) }) },
      { weight: 2, arbitrary: fc.record({ settle: fc.nat(1) }) },
    );
    const bounds = fc.record({ count: fc.constantFrom(1, 3, 1e3), bytes: fc.constantFrom(3_000, 1e6) });
    const histories = fc.record({
      age: fc.constant(1e6),
      count: fc.constantFrom(1, 1e3),
      bytes: fc.constantFrom(2_500, 1e6),
    });
    const epoch = 'aaaaaaaa';
    fc.assert(
      fc.property(bounds, histories, fc.array(step, { maxLength: 60 }), (mailbox, history, steps) => {
        let seq = 0;
        const processes: Parts[] = [];
        const begin = (i: number): void => {
          const log = (message: string | Error): void => assert.fail(message);
          const options = optionsWith({ history, mailbox: { ...MAILBOX, ...mailbox } });
          const process = assemble({
            options,
            broker: new MemoryBroker(),
            logger: { info: log, warn: log, error: log },
          });
          const { hub, takenMail } = process;
          const past = processes[1 - i]?.hub.handover(0);
          hub.enter(epoch, past?.losses ?? { keys: [], others: undefined });
          for (const message of past?.messages ?? [])
            hub.deliver(JSON.parse(JSON.stringify(message)) as typeof message, { epoch, seq: message.seq });
          if (past !== undefined) hub.keepWaiting(past.mail);
          hub.arrive({ epoch, seq });
          const act = (taken: [string, string][], told: [string, string][]): void => {
            const position = { epoch, seq: ++seq };
            for (const each of processes) {
              each.hub.deliver(
                {
                  keys: [],
                  body: '',
                  act: {
                    do: 'take',
                    taken: taken.map(([key, cursor]) => ({ key, cursors: [cursor] })),
                    told: told.map(([key, cursor]) => ({ key, cursor })),
                  },
                },
                position,
              );
            }
          };
          // What is told is heard once the read is over.
          takenMail.take = (...each) => void acts.push(() => act([each], []));
          takenMail.tell = (...each) => void acts.push(() => act([], [each]));
          processes[i] = process;
        };
        const acts: (() => void)[] = [];
        begin(0);
        begin(1);
        const waiting = new Map(boxes.map((key) => [key, [] as string[]]));
        for (const each of steps) {
          if ('publish' in each) {
            const position = { epoch, seq: ++seq };
            for (const { hub } of processes) hub.deliver({ keys: each.publish, body: `data: ${seq}\n` }, position);
            for (const key of each.publish) waiting.get(key)?.push(String(seq));
          } else if ('read' in each) {
            const { readers } = processes[each.read]!;
            const { reader, gaps } = readers.begin(['@all', 'news', ...each.of]);
            const told = new Set(gaps.flatMap(({ keys }) => keys));
            let text = '';
            for (let more = true; more;) {
              const batch = readers.read(reader, each.bytes);
              text += batch.frames?.toString() ?? '';
              for (const { keys } of batch.gaps) for (const key of keys) told.add(key);
              more = batch.more;
            }
            const got = [...text.matchAll(/data: (\d+)/g)].map(([, number]) => number!);
            const due = [...new Set(each.of.flatMap((key) => waiting.get(key)!))].sort((a, b) => Number(a) - Number(b));
            assert.deepEqual(
              got,
              due.filter((number) => got.includes(number)),
              'in order, each once, and nothing else',
            );
            for (const key of each.of) {
              const missed = waiting.get(key)!.some((number) => !got.includes(number));
              if (missed) assert.ok(told.has(key), `mail of ${key} was lost in silence`);
              waiting.set(key, []);
            }
            for (const tell of acts.splice(0)) tell();
          } else if ('restart' in each) {
            begin(each.restart);
          } else {
            const { readers } = processes[each.settle]!;
            readers.settle(readers.head);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
