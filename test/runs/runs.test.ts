import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { run, type SseEvent } from '../../lib';
import { eventually } from '../support/eventually';
import { plainServers, type PlainServer } from '../support/plain';
import { Stream } from '../support/stream';

const open = (server: PlainServer, keys: string | readonly string[], lastEventId?: string): Promise<Stream> => {
  const query = [keys].flat().map((key) => `connectKey=${encodeURIComponent(key)}`);
  const headers: Record<string, string> = lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId };
  return Stream.open(`${server.url}?${query.join('&')}`, { headers });
};

/** All that a reader gets up to the run's end. */
async function read(server: PlainServer, keys: string | readonly string[], lastEventId?: string): Promise<Stream> {
  const stream = await open(server, keys, lastEventId);
  await stream.until(isOver);
  stream.close();
  return stream;
}

const isOver = (stream: Stream): boolean => stream.own('end').length + stream.own('error').length > 0;
const textOf = (stream: Stream): string => stream.data.join('');
const jsonOf = (stream: Stream, name: string): unknown[] =>
  stream.own(name).map(({ data }) => JSON.parse(data) as unknown);

/** A producer that yields what it is told to, when it is told. */
class Told {
  readonly #queue: (string | SseEvent | Error | undefined)[] = [];
  #wake: () => void = () => undefined;
  signal: AbortSignal | undefined;
  hasCleanedUp = false;

  say(...values: (string | SseEvent | Error)[]): void {
    this.#queue.push(...values);
    this.#wake();
  }

  end(): void {
    this.#queue.push(undefined);
    this.#wake();
  }

  readonly produce = async function* (this: Told, signal: AbortSignal): AsyncGenerator<string | SseEvent> {
    this.signal = signal;
    signal.addEventListener('abort', () => this.#wake());
    try {
      for (;;) {
        while (this.#queue.length === 0) {
          if (signal.aborted) return;
          await new Promise<void>((resolve) => (this.#wake = resolve));
        }
        const next = this.#queue.shift();
        if (next === undefined) return;
        if (next instanceof Error) throw next;
        yield next;
      }
    } finally {
      this.hasCleanedUp = true;
    }
  }.bind(this);
}

async function* countTo(count: number): AsyncGenerator<string> {
  for (let i = 1; i <= count; i++) yield `${i} `;
}

const upTo = (count: number): string => Array.from({ length: count }, (_, i) => `${i + 1} `).join('');

describe('a run', () => {
  const start = plainServers();

  it('is read from its start whenever it is opened, live and when it is over, its pieces joined', async () => {
    const server = await start();
    const told = new Told();
    assert.deepEqual(await server.sse.run('42', told.produce), { id: '42', key: run('42') });
    const early = await open(server, 'run:42');
    for (const [i, piece] of ['a', 'b\n', 'c'].entries()) {
      told.say(piece);
      await early.untilMessages(i + 1);
    }
    told.say({ event: 'usage', data: { tokens: 3 } });
    told.end();
    await early.until(isOver);
    assert.deepEqual(early.data, ['a', 'b\n', 'c', '{"tokens":3}']);
    const late = await read(server, 'run:42');
    assert.deepEqual(late.data, ['ab\nc', '{"tokens":3}']);
    assert.equal(late.messages[1]!.event, 'usage');
    assert.deepEqual(jsonOf(late, 'end'), [{ run: '42' }]);
    assert.deepEqual(late.own('gap'), []);
    early.close();
  });

  it('is read by who came before it was started', async () => {
    const server = await start();
    const stream = await open(server, 'run:later');
    await stream.until(({ events }) => events.length > 0);
    await server.sse.run('later', () => countTo(3));
    await stream.until(isOver);
    assert.equal(textOf(stream), '1 2 3 ');
    stream.close();
  });

  it('goes on for a reader that comes back exactly where it was, with other keys beside it', async () => {
    const server = await start();
    const told = new Told();
    await server.sse.run('1', told.produce);
    for (const piece of ['a', 'b', 'c']) {
      told.say(piece);
      await nextTurn();
    }
    await server.sse.publish('news', 'before it came');
    const stream = await open(server, ['news', 'run:1']);
    await stream.until((s) => textOf(s) === 'abc');
    const id = stream.lastEventId;
    stream.close();
    await server.sse.publish('news', ' while it was away ');
    told.say('d', 'e');
    told.end();
    const back = await read(server, ['run:1', 'news'], id);
    assert.equal(textOf(back), ' while it was away de');
    assert.deepEqual(back.own('gap'), []);
    // Of who never had an id, nothing of the other keys is due.
    assert.equal(textOf(await read(server, ['run:1', 'news'])), 'abcde');
  });

  it('keeps the order of what comes for other keys between its pieces', async () => {
    const server = await start();
    const told = new Told();
    await server.sse.run('1', told.produce);
    const live = await open(server, ['run:1', 'news']);
    const say = async (piece: string): Promise<void> => {
      const { length } = live.messages;
      told.say(piece);
      await live.untilMessages(length + 1);
    };
    await live.until(({ events }) => events.length > 0);
    const id = live.lastEventId;
    await say('a');
    await say('b');
    await server.sse.publish('news', '|');
    await say('c');
    await server.sse.publish(['run:1'], '!');
    await say('d');
    told.end();
    await live.until(isOver);
    live.close();
    assert.deepEqual((await read(server, ['run:1', 'news'], id)).data, ['ab', '|', 'c', '!', 'd']);
  });

  it('adds up to what was yielded for every reader, wherever it is cut off', async () => {
    const server = await start();
    let number = 0;
    const piece = fc.string({ unit: fc.constantFrom('a', '\r', '\n', '🐎', '\ud83d', '\udc0e', ' ', ':') });
    const step = fc.oneof(
      piece,
      fc.constant('cut' as const).map(() => undefined),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const id = `${++number}`;
        const told = new Told();
        await server.sse.run(id, told.produce);
        const whole = Buffer.from(
          steps
            .filter((each) => each !== undefined)
            .join('')
            .replaceAll(/\r\n?/g, '\n'),
        ).toString();
        let got = '';
        let stream = await open(server, `run:${id}`);
        for (const each of steps) {
          if (each !== undefined) {
            told.say(each);
            continue;
          }
          await stream.until(({ events }) => events.length > 0);
          // As a client does that is cut off: what it has is what came before its last id.
          got += textOf(stream);
          const { lastEventId } = stream;
          stream.close();
          stream = await open(server, `run:${id}`, lastEventId);
        }
        told.end();
        await stream.until(isOver);
        stream.close();
        assert.equal(got + textOf(stream), whole);
        assert.equal(textOf(await read(server, `run:${id}`)), whole);
      }),
      { numRuns: 40 },
    );
  });

  it('outlives the history, whatever its bounds, in few events', async () => {
    const history = { age: 20, count: 10, bytes: 1e8 };
    const server = await start({ history, pingInterval: 200 });
    await server.sse.run('long', () => countTo(5_000));
    await eventually(() => server.sse.stats.historyMessages === 0 && server.sse.stats.runMessages > 2);
    const stream = await read(server, 'run:long');
    assert.equal(textOf(stream), upTo(5_000));
    assert.ok(stream.messages.length <= 3, `${stream.messages.length} events`);
    assert.deepEqual(stream.own('gap'), []);
    assert.equal(textOf(await read(server, 'run:long')), upTo(5_000));
  });

  it('works without a history, and with keys that are throttled or mailboxes', async () => {
    const mailbox = { keys: ['*'], age: 60_000, count: 1_000, bytes: 1e8 };
    const throttle = { '*': { interval: 60_000, keep: 'latest' } };
    const server = await start({ history: false, mailbox, throttle });
    await server.sse.run('1', () => countTo(100));
    for (let i = 0; i < 2; i++) assert.equal(textOf(await read(server, 'run:1')), upTo(100));
  });

  it('gives a slow reader all of it, and waits for nobody', async () => {
    const server = await start({ maxUnsentBytes: 64 * 1024 });
    const line = 'x'.repeat(10_000);
    const slow = await open(server, 'run:big');
    slow.pause();
    await server.sse.run('big', async function* () {
      for (let i = 0; i < 1_000; i++) yield line;
    });
    const fast = await read(server, 'run:big');
    assert.equal(textOf(fast).length, 10_000_000);
    slow.resume();
    await slow.until(isOver);
    assert.equal(textOf(slow), textOf(fast));
    slow.close();
  });

  it('tells that it is no longer whole, when its lifetime is over or it was too long', async () => {
    const history = { age: 20, count: 10, bytes: 1e8 };
    const server = await start({ history, runs: { age: 2_000, count: 50, bytes: 1e8 }, pingInterval: 200 });
    const pieces = async function* (): AsyncGenerator<string> {
      for (let i = 1; i <= 200; i++) {
        yield `${i} `;
        await nextTurn();
      }
    };
    await server.sse.run('1', pieces);
    assert.equal(textOf(await read(server, 'run:1')), upTo(200));
    const stream = await read(server, 'run:1');
    // What the run has too much of is the history's, whose age or count is reached first.
    const [gap] = jsonOf(stream, 'gap') as { reason: string; keys: string[] }[];
    assert.deepEqual({ ...gap, reason: '' }, { reason: '', keys: ['run:1'] });
    assert.match(gap!.reason, /^(evicted|expired)$/);
    assert.ok(upTo(200).endsWith(textOf(stream)), textOf(stream));
    await eventually(() => server.sse.stats.runMessages === 0 && server.sse.stats.historyMessages === 0);
    assert.equal(server.sse.stats.runBytes, 0);
    const late = await open(server, 'run:1');
    await late.until(({ events }) => events.length > 1);
    assert.deepEqual(jsonOf(late, 'gap'), [{ reason: 'expired', keys: ['run:1'] }]);
    // Its id may be had again then, and what it was is no part of it.
    await server.sse.run('1', () => countTo(2));
    await late.until(isOver);
    assert.equal(textOf(late), '1 2 ');
    const again = await read(server, 'run:1');
    assert.deepEqual([textOf(again), again.own('gap')], ['1 2 ', []]);
    late.close();
  });

  it('lets go of the oldest runs when all of them are too much', async () => {
    const history = { age: 20, count: 10, bytes: 1e8 };
    const server = await start({ history, runs: { age: 60_000, count: 1_000, bytes: 100_000 }, pingInterval: 200 });
    for (const id of ['1', '2']) {
      await server.sse.run(id, async function* () {
        for (let i = 0; i < 7; i++) yield 'x'.repeat(10_000);
      });
      await read(server, `run:${id}`);
    }
    await eventually(() => server.sse.stats.historyMessages === 0);
    assert.ok(server.sse.stats.runBytes <= 100_000);
    assert.equal((await read(server, 'run:1')).own('gap').length, 1);
    const second = await read(server, 'run:2');
    assert.deepEqual([textOf(second).length, second.own('gap')], [70_000, []]);
  });

  it('is one of its id, going on or readable, also of those that are started at once', async () => {
    const { sse } = await start();
    let started = 0;
    const attempts = Array.from({ length: 5 }, () =>
      sse.run('1', async function* () {
        started++;
        yield 'x';
      }),
    );
    const results = await Promise.allSettled(attempts);
    assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', ...Array(4).fill('rejected')]);
    await assert.rejects(
      sse.run('1', () => countTo(1)),
      { code: 'ERR_SSE_RUN_EXISTS', status: 409 },
    );
    await eventually(() => started === 1);
  });

  it('is stopped: its readers are told, its producer is aborted, and what it yields then is nobody’s', async () => {
    const server = await start();
    const told = new Told();
    assert.equal(await server.sse.stopRun('1'), false);
    await server.sse.run('1', told.produce);
    told.say('a');
    const stream = await open(server, 'run:1');
    await stream.untilMessages(1);
    assert.equal(await server.sse.stopRun('1'), true);
    assert.equal(told.signal!.aborted, true);
    told.say('too late');
    await stream.until(isOver);
    assert.deepEqual(jsonOf(stream, 'end'), [{ run: '1', reason: 'stopped' }]);
    await eventually(() => told.hasCleanedUp);
    assert.equal(await server.sse.stopRun('1'), false);
    assert.equal(textOf(await read(server, 'run:1')), 'a');
    assert.deepEqual(server.logged, []);
    stream.close();
  });

  it('is stopped though its producer waits for something that never comes', async () => {
    const server = await start();
    await server.sse.run('1', async function* () {
      yield 'a';
      await new Promise(() => undefined);
    });
    const stream = await open(server, 'run:1');
    await stream.untilMessages(1);
    assert.equal(await server.sse.stopRun('1'), true);
    await stream.until(isOver);
    stream.close();
  });

  it('tells of a producer that throws, without what the error says, and logs it once', async () => {
    const server = await start();
    await server.sse.run('1', async function* () {
      yield 'a';
      throw new Error('the password is swordfish');
    });
    const stream = await read(server, 'run:1');
    assert.equal(textOf(stream), 'a');
    assert.equal((jsonOf(stream, 'error')[0] as { run: string }).run, '1');
    assert.ok(!stream.text.includes('swordfish'));
    await eventually(() => server.logged.length === 1);
    assert.match(server.logged[0]!, /swordfish/);
  });

  it('fails for what cannot be sent, and says so', async () => {
    const server = await start();
    const producers: [string, () => AsyncIterable<string>, string][] = [
      ['number', () => [7][Symbol.iterator]() as unknown as AsyncIterable<string>, 'ERR_SSE_RUN_PRODUCER'],
      [
        'seven',
        async function* () {
          yield 7 as unknown as string;
        },
        'ERR_SSE_MESSAGE',
      ],
      [
        'event',
        async function* () {
          yield { event: 'sse:x', data: 1 } as unknown as string;
        },
        'ERR_SSE_EVENT',
      ],
    ];
    for (const [id, produce, code] of producers) {
      await server.sse.run(id, produce);
      assert.equal((jsonOf(await read(server, `run:${id}`), 'error')[0] as { code: string }).code, code);
    }
  });

  it('refuses what it cannot be', async () => {
    const { sse } = await start();
    for (const id of ['', 'x'.repeat(201), {}, null, Number.NaN]) {
      await assert.rejects(
        sse.run(id as string, () => countTo(1)),
        { code: 'ERR_SSE_RUN_ID' },
      );
      await assert.rejects(sse.stopRun(id as string), { code: 'ERR_SSE_RUN_ID' });
    }
    await assert.rejects(sse.run('1', 'text' as never), { code: 'ERR_SSE_RUN_PRODUCER' });
    const without = await start({ runs: false });
    await assert.rejects(
      without.sse.run('1', () => countTo(1)),
      { code: 'ERR_SSE_RUNS_OFF' },
    );
  });

  it('leaves a key that looks like a run’s as it is when nobody runs it', async () => {
    const server = await start();
    await server.sse.publish('run:x', 'not a run');
    const stream = await open(server, 'run:x');
    await server.sse.publish('run:x', 'live');
    await stream.untilMessages(1);
    assert.deepEqual([stream.data, stream.own('gap')], [['live'], []]);
    stream.close();
  });

  it('ends when its worker goes, and its readers elsewhere would be told', async () => {
    const server = await start();
    const told = new Told();
    await server.sse.run('1', told.produce);
    const stream = await open(server, 'run:1');
    told.say('a');
    await stream.untilMessages(1);
    await server.close();
    await stream.untilEnd();
    assert.equal(told.signal!.aborted, true);
    assert.equal((jsonOf(stream, 'error')[0] as { code: string }).code, 'ERR_SSE_RUN_LOST');
  });
});
