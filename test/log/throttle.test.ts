import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import config from '../../config/config.default';
import { parseCursor } from '../../lib/order/cursor';
import type { Reader } from '../../lib/log/reader';
import { checkOptions } from '../../lib/options/options';
import { Throttle, ThrottleRules } from '../../lib/log/throttle';
import { plainServers, type PlainServer } from '../support/plain';
import { ReadLog } from '../support/read_log';
import { Stream } from '../support/stream';

async function open(url: string, options?: Parameters<typeof Stream.open>[1]): Promise<Stream> {
  return (await Stream.open(url, options)).until(({ events }) => events.length > 0);
}

const EPOCH = 'aaaaaaaa';
const KEYS = ['p', 'q', 'n'];
const INTERVALS: Record<string, number> = { p: 10, q: 25 };
const RULES = new ThrottleRules({ p: { interval: 10, keep: 'latest' }, q: { interval: 25, keep: 'latest' } });

interface Sent {
  readonly keys: readonly string[];
  readonly seq: number;
}

interface Received extends Sent {
  readonly at: number;
  /** Which of the client's connections it came on. */
  readonly connection: number;
}

/** A log, and a client of it that comes back where it was whenever it is cut off. */
class World {
  now = 0;
  readonly log: ReadLog;
  readonly sent: Sent[] = [];
  readonly received: Received[] = [];
  readonly ids = new Map<string, number>();
  connection = 0;
  lastEventId: string;
  /** How far the newest id that it got reaches. */
  reached = 0;
  /** Connections that came back with an id which says that something was, or may have been, held back. */
  readonly mayRepeat = new Set<number>();
  gaps = 0;
  #reader: Reader;

  constructor(count = 1e9) {
    this.log = new ReadLog({ age: 1e9, count, bytes: 1e9 }, () => this.now);
    this.log.begin({ epoch: EPOCH, seq: 0 });
    this.#reader = this.log.fromHead(KEYS, new Throttle(RULES.of(KEYS)!));
    this.lastEventId = this.log.cursorAt(this.#reader)!;
  }

  append(keys: readonly string[], hasOwnId: boolean): void {
    const seq = this.sent.length + 1;
    const id = hasOwnId ? `own${seq}` : undefined;
    this.sent.push({ keys, seq });
    if (id !== undefined) this.ids.set(id, seq);
    this.log.append({ keys, body: `data: ${seq}\n`, id, position: { epoch: EPOCH, seq } });
  }

  /** Lets the pump come by; the client is cut off before the frame `cutAt`, if there is one. */
  read(maxBytes: number, cutAt = Number.POSITIVE_INFINITY): void {
    for (;;) {
      const { frames, gaps, resumeAt, more } = this.log.read(this.#reader, maxBytes);
      this.#reader.throttle!.onWritten(this.now);
      this.gaps += gaps.length;
      if (resumeAt !== undefined) this.lastEventId = resumeAt;
      for (const frame of (frames?.toString() ?? '').split('\n\n').slice(0, -1)) {
        if (cutAt-- === 0) {
          this.comeBack();
          return;
        }
        const [, data, id] = /^data: (.*)\nid: (.*)$/.exec(frame)!;
        const { keys, seq } = this.sent[Number(data) - 1]!;
        this.received.push({ keys, seq, at: this.now, connection: this.connection });
        const reached = this.ids.get(id!) ?? parseCursor(id!)!.seq;
        assert.ok(reached >= this.reached, `id ${id} takes it back from ${this.reached}`);
        this.reached = reached;
        this.lastEventId = id!;
      }
      if (!more) return;
    }
  }

  comeBack(): void {
    this.connection++;
    if (this.ids.has(this.lastEventId) || parseCursor(this.lastEventId)?.heldFrom !== undefined) {
      this.mayRepeat.add(this.connection);
    }
    const { reader, gaps } = this.log.resume(this.lastEventId, KEYS, new Throttle(RULES.of(KEYS)!));
    this.gaps += gaps.length;
    this.#reader = reader;
    this.lastEventId = this.log.cursorAt(reader)!;
  }

  /** Lets all intervals pass. */
  end(): void {
    for (let i = 0; i < 5; i++) {
      this.now += 100;
      this.read(1e9);
    }
  }
}

type Step = (world: World) => void;

/** A step that a counterexample shows. */
const named = (name: string, act: Step): Step => Object.assign(act, { [fc.toStringMethod]: () => name });

const step = (keySets: string[][], ownIds = true): fc.Arbitrary<Step> =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .tuple(fc.constantFrom(...keySets), fc.integer({ min: 0, max: 5 }))
        .map(([keys, own]) =>
          named(`append ${keys.join()} ${own}`, (world) => world.append(keys, ownIds && own === 0)),
        ),
    },
    {
      weight: 3,
      arbitrary: fc.integer({ min: 1, max: 15 }).map((ms) => named(`${ms} ms`, (world) => void (world.now += ms))),
    },
    {
      weight: 5,
      arbitrary: fc.constantFrom(1, 40, 1e9).map((bytes) => named(`read ${bytes}`, (world) => world.read(bytes))),
    },
    {
      weight: 1,
      arbitrary: fc.nat(3).map((cutAt) => named(`cut at ${cutAt}`, (world) => world.read(1e9, cutAt))),
    },
    { weight: 1, arbitrary: fc.constant(named('come back', (world) => world.comeBack())) },
  );

const isOrdinary = ({ keys }: Sent): boolean => keys.includes('n');

describe('a throttled key', () => {
  const runs = { numRuns: 3_000 };

  it('is never heard twice within its interval, always ends with its newest, and disturbs nobody else', () => {
    fc.assert(
      fc.property(fc.array(step([['p'], ['q'], ['n'], ['n', 'p']]), { maxLength: 80 }), (steps) => {
        const world = new World();
        for (const act of steps) act(world);
        world.end();
        const { sent, received } = world;
        assert.equal(world.gaps, 0);
        assert.deepEqual(
          received.filter(isOrdinary).map(({ seq }) => seq),
          sent.filter(isOrdinary).map(({ seq }) => seq),
          'what is not throttled comes once, in order',
        );
        for (const [key, interval] of Object.entries(INTERVALS)) {
          const ofKey = received.filter(({ keys }) => keys.includes(key));
          assert.equal(ofKey.at(-1)?.seq, sent.findLast(({ keys }) => keys.includes(key))?.seq, 'the newest is last');
          for (const [i, { seq, at, connection, keys }] of ofKey.entries()) {
            const before = ofKey[i - 1];
            if (before === undefined) continue;
            assert.ok(
              seq > before.seq || (seq === before.seq && world.mayRepeat.has(connection)),
              `${seq} came after ${before.seq}`,
            );
            if (connection !== before.connection || isOrdinary({ keys, seq })) continue;
            assert.ok(at - before.at >= interval, `${at - before.at} ms passed`);
          }
        }
      }),
      runs,
    );
  });

  it('ends with its newest, in order, when messages have several throttled keys', () => {
    fc.assert(
      fc.property(fc.array(step([['p'], ['q'], ['p', 'q'], ['n'], ['n', 'p']]), { maxLength: 60 }), (steps) => {
        const world = new World();
        for (const act of steps) act(world);
        world.end();
        assert.deepEqual(
          world.received.filter(isOrdinary).map(({ seq }) => seq),
          world.sent.filter(isOrdinary).map(({ seq }) => seq),
        );
        for (const key of ['p', 'q']) {
          const ofKey = world.received.filter(({ keys }) => keys.includes(key));
          assert.equal(ofKey.at(-1)?.seq, world.sent.findLast(({ keys }) => keys.includes(key))?.seq);
          for (const [i, { seq, connection }] of ofKey.entries()) {
            const before = ofKey[i - 1];
            const mayRepeat = before?.connection !== connection && world.mayRepeat.has(connection);
            assert.ok(before === undefined || seq > before.seq || mayRepeat, `${seq} came after ${before?.seq}`);
          }
        }
      }),
      runs,
    );
  });

  it('ends with its newest when hardly anything is kept, and has no gap as long as that is there', () => {
    fc.assert(
      fc.property(fc.array(step([['p'], ['q']], false), { maxLength: 60 }), (steps) => {
        const world = new World(1);
        for (const act of steps) {
          act(world);
          world.log.settle(world.log.head);
        }
        world.end();
        for (const key of ['p', 'q']) {
          assert.equal(
            world.received.findLast(({ keys }) => keys.includes(key))?.seq,
            world.sent.findLast(({ keys }) => keys.includes(key))?.seq,
          );
        }
        assert.equal(world.gaps, 0);
      }),
      runs,
    );
  });
});

describe('a throttled reader', () => {
  const make = (): { log: ReadLog; reader: Reader; append: (keys: string[], inOrder?: boolean) => void } => {
    const log = new ReadLog({ age: 1e9, count: 1e9, bytes: 1e9 }, () => 0);
    log.begin({ epoch: EPOCH, seq: 0 });
    let seq = 0;
    const append = (keys: string[], inOrder = true): void => {
      const position = inOrder ? { epoch: EPOCH, seq: ++seq } : undefined;
      log.append({ keys, body: `data: ${log.head + 1}\n`, position });
    };
    return { log, reader: log.fromHead(KEYS, new Throttle(RULES.of(KEYS)!)), append };
  };

  it('gets nothing that was held back for a key that it does not hold any more', () => {
    const { log, reader, append } = make();
    for (let i = 0; i < 3; i++) append(['p']);
    for (let i = 0; i < 3; i++) append(['q']);
    assert.equal(
      log
        .read(reader, 1e9)
        .frames?.toString()
        .match(/^data: /gm)?.length,
      2,
    );
    log.rekey(reader, ['q', 'n'], RULES.of(['q', 'n']));
    assert.deepEqual(
      reader.throttle!.heldBack.map(({ offset }) => offset),
      [6],
    );
    log.rekey(reader, ['n'], RULES.of(['n']));
    assert.equal(reader.throttle, undefined);
    append(['p', 'n']);
    assert.equal(log.read(reader, 1e9).frames?.toString(), `data: 7\nid: ${EPOCH}-7\n\n`);
  });

  it('has no id for what has no place in the order', () => {
    const { log, reader, append } = make();
    append(['p']);
    append(['p'], false);
    append(['n']);
    assert.equal(log.read(reader, 1e9).frames?.toString(), `data: 1\nid: ${EPOCH}-1\n\ndata: 3\nid: ${EPOCH}-2\n\n`);
    reader.throttle!.onWritten(-100);
    assert.equal(log.read(reader, 1e9).frames?.toString(), 'data: 2\n\n');
  });

  it('shares no buffer with those who hold no throttled key, who share theirs', () => {
    const { log, reader, append } = make();
    const keys = ['n', 'p'];
    const others = [log.fromHead(keys), log.fromHead(keys)] as const;
    for (let i = 0; i < 3; i++) append(['p']);
    const { frames } = log.read(others[0], 1e9);
    assert.equal(
      log
        .read(reader, 1e9)
        .frames?.toString()
        .match(/^data: /gm)?.length,
      1,
    );
    assert.equal(log.read(others[1], 1e9).frames, frames);
  });
});

/** Where the writes of a server's streams are told, with the time at which they begin. */
function watchWrites({ server }: PlainServer): { at: number; text: string }[] {
  const writes: { at: number; text: string }[] = [];
  server.prependListener('request', (_request, response) => {
    const write = response.write.bind(response) as (chunk: Buffer) => boolean;
    response.write = ((chunk: Buffer) => {
      writes.push({ at: performance.now(), text: chunk.toString() });
      return write(chunk);
    }) as typeof response.write;
  });
  return writes;
}

describe('a client of a throttled key', () => {
  const start = plainServers();

  const throttle = { 'price:*': { interval: 100, keep: 'latest' } };

  it('gets the first at once, then the newest when the interval is over, and all else as ever', async () => {
    const server = await start({ throttle });
    const stream = await open(`${server.url}?connectKey=price:a&connectKey=news`);
    for (let i = 1; i <= 10; i++) await server.sse.publish('price:a', `price ${i}`);
    await server.sse.publish(['price:a', 'news'], 'both');
    for (let i = 1; i <= 10; i++) await server.sse.publish('news', `news ${i}`);
    await server.sse.publish('price:a', 'last price');
    await stream.until(({ data }) => data.includes('last price'));
    assert.deepEqual(stream.data, [
      'price 1',
      'both',
      ...Array.from({ length: 10 }, (_, i) => `news ${i + 1}`),
      'last price',
    ]);
    assert.deepEqual(stream.own('gap'), []);
    stream.close();
  });

  it('never gets two within an interval, however they are published, and ends with the newest', async () => {
    const server = await start({ throttle: { '*': { interval: 40, keep: 'latest' } } });
    const writes = watchWrites(server);
    const stream = await open(`${server.url}?connectKey=a`);
    for (let i = 0; i < 300; i++) {
      void server.sse.publish('a', `price ${i}`);
      // A publisher's pace; nothing is waited for.
      await pause(i % 7);
    }
    await server.sse.publish('a', 'end');
    await stream.until(({ data }) => data.includes('end'));
    const times = writes.filter(({ text }) => text.startsWith('data')).map(({ at }) => at);
    for (const [i, at] of times.slice(1).entries()) assert.ok(at - times[i]! >= 40, `${at - times[i]!} ms passed`);
    assert.ok(times.length > 10, `${times.length} writes`);
    assert.equal(stream.data.at(-1), 'end');
    stream.close();
  });

  it('is one of many, and each of them gets its own newest', async () => {
    const server = await start({ throttle });
    const streams = await Promise.all(
      Array.from({ length: 100 }, (_, i) => open(`${server.url}?connectKey=price:${i % 10}&connectKey=${i}`)),
    );
    for (let i = 0; i < 50; i++) {
      for (let key = 0; key < 10; key++) await server.sse.publish(`price:${key}`, `${key} ${i}`);
    }
    for (const [i, stream] of streams.entries()) {
      await stream.until(({ data }) => data.at(-1) === `${i % 10} 49`);
      stream.close();
    }
  });

  it('that comes back gets what was held back from it, and nothing else twice', async () => {
    const { url, sse } = await start({ throttle: { price: { interval: 60_000, keep: 'latest' } } });
    const keys = 'connectKey=price&connectKey=news';
    const first = await open(`${url}?${keys}`);
    for (const text of ['price 1', 'price 2', 'price 3']) await sse.publish('price', text);
    await sse.publish('news', 'news 1');
    await first.until(({ data }) => data.includes('news 1'));
    assert.deepEqual(first.data, ['price 1', 'news 1']);
    first.close();
    await sse.publish('news', 'news 2');
    const second = await open(`${url}?${keys}`, { headers: { 'Last-Event-ID': first.lastEventId } });
    await second.untilMessages(2);
    assert.deepEqual(second.data, ['price 3', 'news 2']);
    assert.deepEqual(second.own('gap'), []);
    second.close();
    const third = await open(`${url}?${keys}`, { headers: { 'Last-Event-ID': second.lastEventId } });
    await sse.publish('news', 'news 3');
    await third.untilMessages(1);
    assert.deepEqual(third.data, ['news 3']);
    third.close();
  });

  it('gets only the newest of what it missed', async () => {
    const { url, sse } = await start({ throttle });
    const first = await open(`${url}?connectKey=price:a`);
    first.close();
    for (let i = 1; i <= 100; i++) await sse.publish('price:a', String(i));
    const second = await open(`${url}?connectKey=price:a`, { headers: { 'Last-Event-ID': first.lastEventId } });
    await second.untilMessages(1);
    assert.deepEqual(second.data, ['100']);
    second.close();
  });

  it('gets the newest also with history: false', async () => {
    const { url, sse } = await start({ throttle, history: false });
    const stream = await open(`${url}?connectKey=price:a`);
    for (let i = 1; i <= 20; i++) await sse.publish('price:a', String(i));
    await stream.untilMessages(2);
    assert.deepEqual(stream.data, ['1', '20']);
    stream.close();
  });

  it('has not taken what is held back from it, for a publisher who asks', async () => {
    const { url, sse } = await start({ throttle: { price: { interval: 60_000, keep: 'latest' } } });
    const streams = [await open(`${url}?connectKey=price`), await open(`${url}?connectKey=price&connectKey=news`)];
    assert.equal((await sse.publish('price', '1', { confirm: true })).clients, 2);
    assert.equal((await sse.publish('price', '2', { confirm: true })).clients, 0);
    assert.equal((await sse.publish(['price', 'news'], '3', { confirm: true })).clients, 1);
    for (const stream of streams) stream.close();
  });
});

describe('config.sse.throttle', () => {
  it("takes the longest pattern that matches, and the plugin's own keys only by their name", () => {
    const rules = new ThrottleRules({
      '*': { interval: 1, keep: 'latest' },
      'price:*': { interval: 2, keep: 'latest' },
      'price:a*': { interval: 3, keep: 'latest' },
      'price:ab': { interval: 4, keep: 'latest' },
      '@user:*': { interval: 5, keep: 'latest' },
    });
    const { intervals } = rules.of(['x', 'price:b', 'price:ac', 'price:ab', '@all', '@user:ann', '@anonymous'])!;
    assert.deepEqual(
      [...intervals],
      [
        ['x', 1],
        ['price:b', 2],
        ['price:ac', 3],
        ['price:ab', 4],
        ['@user:ann', 5],
      ],
    );
    assert.equal(rules.of(['@all']), undefined);
    assert.equal(new ThrottleRules({}).of(['a']), undefined);
  });

  const wrong: [string, unknown, RegExp][] = [
    ['no object', 1_000, /throttle is 1000/],
    ['a number for a rule', { a: 1_000 }, /throttle\["a"\] is 1000; it must be \{ interval, keep: 'latest' \}/],
    ['an interval of 0', { a: { interval: 0, keep: 'latest' } }, /interval is 0.*in ms/],
    ['another way to keep', { a: { interval: 1, keep: 'all' } }, /keep is "all"; it must be "latest"/],
    ['no keep', { a: { interval: 1 } }, /keep is undefined/],
    ['an unknown name', { a: { interval: 1, keep: 'latest', max: 1 } }, /max is not an option/],
    ['an empty pattern', { '': { interval: 1, keep: 'latest' } }, /one "\*" at its end/],
    ['a star in the middle', { 'a*b': { interval: 1, keep: 'latest' } }, /one "\*" at its end/],
  ];
  for (const [what, throttle, text] of wrong) {
    it(`is refused at boot with ${what}`, () => {
      assert.throws(
        () => checkOptions({ ...config.sse, throttle }),
        (error: Error & { code: string }) => {
          assert.equal(error.code, 'ERR_SSE_CONFIG');
          assert.match(error.message, text);
          return true;
        },
      );
    });
  }
});
