import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { createParser } from 'eventsource-parser';
import fc from 'fast-check';
import type { CloseReason, Connection } from '../../lib/connection/connection';
import type { Gap } from '../../lib/log/gaps';
import type { Reader } from '../../lib/log/reader';
import { Throttle, ThrottleRules } from '../../lib/log/throttle';
import type { RunPart } from '../../lib/order/broker';
import { Pump } from '../../lib/pump/pump';
import { HandClock } from '../support/hand_clock';
import { ReadLog } from '../support/read_log';

const EPOCH = 'aaaaaaaa';
const WIDE = { age: 1e9, count: 1e9, bytes: 1e9 };

/** The data of the events in some bytes; of an `sse:gap`, that and its keys. */
function read(bytes: Buffer): string[] {
  const events: string[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) =>
      void events.push(event === 'sse:gap' ? `gap ${(JSON.parse(data) as Gap).keys.join()}` : data),
    onComment: (comment) => void events.push(comment),
  });
  parser.feed(bytes.toString());
  return events;
}

/** What of a connection the pump knows; it notes what is written to it. */
class Client implements Pick<
  Connection,
  'reader' | 'writable' | 'isGreeted' | 'pingDue' | 'ping' | 'write' | 'writeShared' | 'end' | 'destroy'
> {
  readonly reader: Reader;
  writable = true;
  isGreeted = true;
  pingDue = false;
  /** What each write says. */
  readonly writes: string[][] = [];
  /** Whether it was said to be the newest, of each write that others share. */
  readonly newest: boolean[] = [];
  readonly reasons: CloseReason[] = [];
  /** What else a write does. */
  onWrite: () => void = () => undefined;

  constructor(reader: Reader) {
    this.reader = reader;
  }

  /** All that it was written. */
  get got(): string[] {
    return this.writes.flat();
  }

  write(bytes: Buffer): void {
    this.pingDue = false;
    this.writes.push(read(bytes));
    this.onWrite();
  }

  writeShared(bytes: Buffer, _now: number, isNewest: boolean): void {
    this.newest.push(isNewest);
    this.write(bytes);
  }

  ping(): void {
    this.write(Buffer.from(': ping\n\n'));
  }

  end(reason: CloseReason): void {
    this.writable = false;
    this.reasons.push(reason);
  }

  destroy(reason: CloseReason): void {
    this.end(reason);
  }
}

/** A log, and a pump that writes it to clients. */
class Scene {
  readonly log: ReadLog;
  readonly pump: Pump;
  readonly crowds = new Map<string, Set<Connection>>();
  readonly gaps: Gap[] = [];
  readonly settled: number[] = [];
  readonly errors: unknown[] = [];
  #seq = 0;

  constructor({ count = WIDE.count, maxBatchBytes = 1e9 } = {}) {
    this.log = new ReadLog({ ...WIDE, count });
    this.log.begin({ epoch: EPOCH, seq: 0 });
    this.pump = new Pump(this.log.readers, {
      maxBatchBytes,
      onGap: (gap) => this.gaps.push(gap),
      onPassed: (through) => this.settled.push(through),
      onError: (error) => this.errors.push(error),
    });
  }

  /** A client that has everything so far. */
  open(keys: readonly string[], throttle?: Throttle): Client {
    return this.enter(new Client(this.log.fromHead(keys, throttle)));
  }

  openMany(count: number, keys: readonly string[]): Client[] {
    return Array.from({ length: count }, () => this.open(keys));
  }

  enter(client: Client): Client {
    for (const key of client.reader.keys) {
      if (!this.crowds.has(key)) this.crowds.set(key, new Set());
      this.crowds.get(key)!.add(asConnection(client));
    }
    return client;
  }

  /** Publishes a message that says its place, as the hub does. */
  publish(keys: readonly string[], run?: RunPart): void {
    this.append(keys, run);
    for (const key of keys) if (this.crowds.has(key)) this.pump.wakeAll(this.crowds.get(key)!);
    this.pump.mark();
  }

  append(keys: readonly string[], run?: RunPart): void {
    const seq = ++this.#seq;
    this.log.append({ keys, body: `data: ${seq}\n`, run, position: { epoch: EPOCH, seq } });
  }

  wake(client: Client): void {
    this.pump.wake(asConnection(client));
  }
}

function asConnection(client: Client): Connection {
  return client as unknown as Connection;
}

/** Lets the event loop turn once: the pump has at most one slice in it. */
function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

const written = (clients: readonly Client[]): number => clients.filter(({ got }) => got.length > 0).length;

describe('Pump', () => {
  // A machine that is slow must not cut a slice short.
  const clock = HandClock.forEach();

  it('writes to 64 of a crowd in a turn of the event loop', async () => {
    const scene = new Scene();
    const clients = scene.openMany(200, ['a']);
    scene.publish(['a']);
    assert.equal(written(clients), 0);
    for (const count of [64, 128, 192, 200]) {
      await turn();
      assert.equal(written(clients), count);
    }
    await turns(3);
    assert.deepEqual(new Set(clients.map(({ got }) => got.join())), new Set(['1']));
  });

  it('visits many small crowds in one turn', async () => {
    const scene = new Scene();
    const clients = Array.from({ length: 200 }, (_, i) => scene.open([`k${i}`]));
    for (let i = 0; i < 200; i++) scene.publish([`k${i}`]);
    await turn();
    assert.equal(written(clients), 200);
  });

  it('leaves the loop to others after 4 ms, however few it has visited', async () => {
    const scene = new Scene();
    const clients = Array.from({ length: 40 }, (_, i) => scene.open([`k${i % 2}`]));
    for (const client of clients) client.onWrite = () => void (clock.now += 3);
    scene.publish(['k0', 'k1']);
    let before = 0;
    for (let slices = 1; written(clients) < clients.length; slices++) {
      await turn();
      const now = written(clients);
      // It does not ask what time it is after each.
      assert.ok(now > before && now - before <= 4, `${now - before} visits in a slice`);
      before = now;
      assert.ok(slices <= 10);
    }
  });

  it('goes on with a crowd in the next turn before it comes to the next crowd', async () => {
    const scene = new Scene();
    const [many, few] = [scene.openMany(70, ['a']), scene.openMany(10, ['b'])];
    scene.publish(['a']);
    scene.publish(['b']);
    await turn();
    assert.deepEqual([written(many), written(few)], [64, 0]);
    await turn();
    assert.deepEqual([written(many), written(few)], [70, 10]);
  });

  it('writes what is published during a round together with what started it', async () => {
    const scene = new Scene();
    const clients = scene.openMany(100, ['a']);
    scene.publish(['a']);
    await turn();
    scene.publish(['a']);
    await turns(4);
    const writes = clients.map((client) => client.writes.map((each) => each.join(' ')).join(' | '));
    assert.deepEqual(
      writes.slice(0, 64),
      Array.from({ length: 64 }, () => '1 | 2'),
    );
    assert.deepEqual(
      writes.slice(64),
      Array.from({ length: 36 }, () => '1 2'),
    );
  });

  it('visits a connection once, however often its crowd and itself are woken before', async () => {
    const scene = new Scene();
    const client = scene.open(['a', 'b']);
    let visits = 0;
    Object.defineProperty(client, 'isGreeted', { get: () => visits++ < 0 });
    for (let i = 0; i < 10; i++) scene.publish(['a']);
    await turn();
    assert.equal(visits, 1);
    for (let i = 0; i < 10; i++) scene.wake(client);
    await turn();
    assert.equal(visits, 2);
  });

  it('visits those that join a crowd during its round', async () => {
    const scene = new Scene();
    scene.openMany(64, ['a']);
    scene.publish(['a']);
    await turn();
    const { reader } = scene.log.resume(`${EPOCH}-0`, ['a']);
    const late = scene.enter(new Client(reader));
    await turn();
    assert.deepEqual(late.got, ['1']);
  });

  it('destroys a connection that throws, says so, and goes on with the others', async () => {
    const scene = new Scene();
    const [before, bad, after] = scene.openMany(3, ['a']) as [Client, Client, Client];
    const error = new Error('its socket is odd');
    bad.onWrite = () => {
      throw error;
    };
    scene.publish(['a']);
    await turn();
    assert.deepEqual([before.got, after.got], [['1'], ['1']]);
    assert.deepEqual([bad.reasons, scene.errors, before.reasons], [['error'], [error], []]);
    assert.deepEqual(scene.settled, [1]);
  });

  it('passes over a connection that can take no more, which goes on where it was when it is woken', async () => {
    const scene = new Scene();
    const [slow, other] = scene.openMany(2, ['a']) as [Client, Client];
    slow.writable = false;
    slow.pingDue = true;
    scene.publish(['a']);
    await turn();
    scene.publish(['a']);
    await turn();
    assert.deepEqual([slow.got, other.got], [[], ['1', '2']]);
    slow.writable = true;
    await turns(2);
    assert.deepEqual(slow.got, []);
    scene.wake(slow);
    await turn();
    assert.deepEqual(slow.writes, [['1', '2']]);
  });

  it('settles the log at a mark only after the rounds that were queued before it', async () => {
    const scene = new Scene({ count: 1 });
    const clients = scene.openMany(100, ['a']);
    for (let i = 0; i < 3; i++) scene.publish(['a']);
    await turn();
    assert.deepEqual([scene.settled, scene.log.log.size.messages], [[], 3]);
    await turn();
    assert.deepEqual([scene.settled.at(-1), scene.log.log.size.messages], [3, 1]);
    for (const { got } of clients) assert.deepEqual(got, ['1', '2', '3']);
    assert.deepEqual(scene.gaps, []);
  });

  it('settles what comes after a mark in a round of its own', async () => {
    const scene = new Scene({ count: 1 });
    const [first, ...others] = scene.openMany(100, ['a']) as [Client, ...Client[]];
    scene.publish(['a']);
    await turn();
    assert.deepEqual(first.got, ['1']);
    for (let i = 0; i < 3; i++) scene.publish(['a']);
    await turn();
    assert.deepEqual([scene.settled, scene.log.log.size.messages], [[1], 3]);
    await turn();
    assert.deepEqual([scene.settled, scene.log.log.size.messages], [[1, 4], 1]);
    assert.deepEqual(scene.gaps, []);
    for (const { got } of [first, ...others]) assert.deepEqual(got, ['1', '2', '3', '4']);
  });

  it('pings one to which nothing else is to be written', async () => {
    const scene = new Scene();
    const [quiet, busy] = [scene.open(['q']), scene.open(['a'])];
    for (const client of [quiet, busy]) {
      client.pingDue = true;
      scene.wake(client);
    }
    scene.publish(['a']);
    await turn();
    assert.deepEqual([quiet.got, busy.got], [['ping'], ['1']]);
    scene.wake(quiet);
    await turn();
    assert.deepEqual(quiet.got, ['ping']);
  });

  it('gives one that is not greeted nothing of the log, and all of it afterwards', async () => {
    const scene = new Scene();
    const client = scene.open(['a']);
    client.isGreeted = false;
    scene.publish(['a']);
    await turn();
    assert.deepEqual(client.got, []);
    client.pingDue = true;
    scene.wake(client);
    await turn();
    assert.deepEqual(client.got, ['ping']);
    client.isGreeted = true;
    scene.wake(client);
    await turn();
    assert.deepEqual(client.got, ['ping', '1']);
  });

  it('gives one that is private nothing of the log, but pings', async () => {
    const scene = new Scene();
    const client = scene.open([]);
    const all = scene.open(['@all']);
    scene.crowds.get('@all')!.add(asConnection(client));
    scene.publish(['@all']);
    await turn();
    assert.deepEqual([client.got, all.got], [[], ['1']]);
    client.pingDue = true;
    scene.wake(client);
    await turn();
    assert.deepEqual(client.got, ['ping']);
  });

  it('tells of gaps before what comes after them, and says so', async () => {
    const scene = new Scene({ count: 1 });
    const client = scene.open(['a', 'b']);
    for (const key of ['a', 'a', 'b', 'b', 'a']) scene.append([key]);
    scene.log.settle(scene.log.head);
    scene.wake(client);
    await turn();
    assert.deepEqual(client.got, ['gap a,b', '4', '5']);
    assert.deepEqual(scene.gaps, [{ reason: 'evicted', keys: ['a', 'b'] }]);
    assert.deepEqual(client.newest, [true]);
  });

  it('goes on with one that has more to get than fits in a write, as long as it can take it', async () => {
    const scene = new Scene({ maxBatchBytes: 60 });
    const client = scene.open(['a']);
    for (let i = 0; i < 9; i++) scene.append(['a']);
    client.onWrite = () => void (client.writable = client.writes.length !== 2);
    scene.wake(client);
    await turns(2);
    assert.deepEqual(client.writes, [
      ['1', '2'],
      ['3', '4'],
    ]);
    client.writable = true;
    scene.wake(client);
    await turns(2);
    assert.deepEqual(client.writes.slice(2), [['5', '6'], ['7', '8'], ['9']]);
    assert.deepEqual(client.newest, [false, false, false, false, true]);
  });

  it('lets go of nothing that a client has yet to read which keeps up, though one write did not hold it all', async () => {
    const scene = new Scene({ count: 1, maxBatchBytes: 1 });
    scene.openMany(100, ['x']);
    const client = scene.open(['a']);
    scene.publish(['x']);
    await turn();
    for (let i = 0; i < 3; i++) scene.publish(['a']);
    await turns(20);
    assert.deepEqual(client.got, ['2', '3', '4']);
    assert.deepEqual(scene.gaps, []);
    assert.equal(scene.settled.at(-1), scene.log.head);
  });

  it('settles what a client that stops in the middle of it has not read', async () => {
    const scene = new Scene({ count: 1, maxBatchBytes: 1 });
    const client = scene.open(['a']);
    client.onWrite = () => void (client.writable = false);
    for (let i = 0; i < 3; i++) scene.publish(['a']);
    await turns(20);
    assert.equal(scene.settled.at(-1), scene.log.head);
    client.onWrite = () => undefined;
    client.writable = true;
    scene.wake(client);
    await turns(3);
    assert.deepEqual(client.got, ['1', 'gap a', '3']);
  });

  it('does not let one that has much to get keep the loop', async () => {
    const scene = new Scene({ maxBatchBytes: 1 });
    const client = scene.open(['a']);
    for (let i = 0; i < 100; i++) scene.append(['a']);
    scene.wake(client);
    await turn();
    assert.equal(client.writes.length, 64);
    await turn();
    assert.equal(client.writes.length, 100);
  });

  describe('and throttled keys', () => {
    const KEYS = ['p', 'n'];
    const RULES = new ThrottleRules({ p: { interval: 100, keep: 'latest' } });
    const throttle = (): Throttle => new Throttle(RULES.of(KEYS)!);

    it('writes what was held back when its time has come, though nothing else comes', async () => {
      const scene = new Scene();
      const client = scene.open(KEYS, throttle());
      for (let i = 0; i < 3; i++) {
        scene.publish(['p']);
        await turn();
      }
      assert.deepEqual(client.got, ['1']);
      clock.advance(99);
      await turn();
      assert.deepEqual(client.got, ['1']);
      clock.advance(1);
      await turn();
      assert.deepEqual(client.got, ['1', '3']);
      assert.equal(clock.waiting, 0);
      // Nobody else gets the same at the same moment.
      assert.deepEqual(client.newest, [false, false]);
    });

    it('counts an interval from when the message before it was written', async () => {
      const scene = new Scene();
      const client = scene.open(KEYS, throttle());
      client.onWrite = () => void (clock.now += 50);
      scene.publish(['p']);
      await turn();
      scene.publish(['p']);
      await turn();
      clock.advance(99);
      await turn();
      assert.deepEqual(client.got, ['1']);
      clock.advance(1);
      await turn();
      assert.deepEqual(client.got, ['1', '2']);
    });

    it('wakes nobody for one that it has let go of', async () => {
      const scene = new Scene();
      const client = scene.open(KEYS, throttle());
      for (let i = 0; i < 2; i++) {
        scene.publish(['p']);
        await turn();
      }
      scene.pump.forget(asConnection(client));
      clock.advance(1_000);
      await turns(2);
      assert.deepEqual(client.got, ['1']);
    });

    it('writes what was held back in one batch after the other', async () => {
      const scene = new Scene({ maxBatchBytes: 60 });
      const all = ['p', 'q', 'r', 's', 't'];
      const rules = new ThrottleRules({ '*': { interval: 100, keep: 'latest' } });
      const client = scene.open(all, new Throttle(rules.of(all)!));
      for (let i = 0; i < 2; i++) {
        for (const key of all) scene.publish([key]);
        await turns(2);
      }
      clock.advance(100);
      await turns(2);
      assert.deepEqual(client.writes.slice(-3), [['6', '7'], ['8', '9'], ['10']]);
    });
  });

  it('ends the stream of a run with the run, after its last words', async () => {
    const scene = new Scene();
    const { reader } = scene.log.resume(`${EPOCH}-0`, ['run:1']);
    const client = scene.enter(new Client(Object.assign(reader, { isOfRun: true })));
    const of = (is: RunPart['is']): void => scene.publish(['run:1'], { is });
    of('start');
    of('event');
    await turn();
    assert.deepEqual([client.got, client.reasons], [['2'], []]);
    of('event');
    of('end');
    await turn();
    assert.deepEqual([client.writes, client.reasons], [[['2'], ['3', '4']], ['closed']]);
  });

  it('carries nothing of who has woken it into what it writes', async () => {
    const request = new AsyncLocalStorage<string>();
    const scene = new Scene();
    const clients = scene.openMany(100, ['a']);
    const seen = new Set<string | undefined>();
    for (const client of clients) client.onWrite = () => void seen.add(request.getStore());
    request.run('one', () => scene.publish(['a']));
    await turns(3);
    request.run('another', () => {
      scene.append(['a']);
      scene.wake(clients[0]!);
    });
    await turn();
    assert.equal(clients[0]!.got.length, 2);
    assert.deepEqual([...seen], [undefined]);
  });

  it('gives each all of its keys, in order and once, whoever stops, throws and goes on meanwhile (fuzzed)', async () => {
    const keys = fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 });
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ publish: keys }) },
      { weight: 2, arbitrary: fc.record({ turns: fc.nat(2) }) },
      { weight: 1, arbitrary: fc.record({ block: fc.nat(200) }) },
      { weight: 2, arbitrary: fc.record({ drain: fc.nat(200) }) },
      { weight: 1, arbitrary: fc.record({ ping: fc.nat(200) }) },
      { weight: 1, arbitrary: fc.record({ break: fc.nat(200) }) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(keys, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 60 }),
        // With a count of 0 all is let go of that is settled; what is settled too early would be missed.
        fc.record({ maxBatchBytes: fc.constantFrom(1, 60, 1e9), count: fc.constantFrom(0, 1, WIDE.count) }),
        fc.array(step, { maxLength: 40 }),
        async (kinds, each, bounds, steps) => {
          const scene = new Scene(bounds);
          const clients = kinds.flatMap((kind) => scene.openMany(each, kind));
          const broken = new Set<Client>();
          const blocked = new Set<Client>();
          const published: (readonly string[])[] = [];
          for (const one of steps) {
            if ('publish' in one) {
              published.push(one.publish);
              scene.publish(one.publish);
            } else if ('turns' in one) {
              await turns(one.turns);
            } else if ('block' in one) {
              const client = clients[one.block % clients.length]!;
              client.writable = false;
              blocked.add(client);
            } else if ('drain' in one) {
              const client = clients[one.drain % clients.length]!;
              if (client.reasons.length > 0) continue;
              client.writable = true;
              scene.wake(client);
            } else if ('ping' in one) {
              const client = clients[one.ping % clients.length]!;
              client.pingDue = true;
              scene.wake(client);
            } else {
              const client = clients[one.break % clients.length]!;
              broken.add(client);
              client.onWrite = () => {
                throw new Error('broken');
              };
            }
          }
          for (const client of clients) {
            if (client.reasons.length > 0) continue;
            client.writable = true;
            scene.wake(client);
          }
          while (clients.some((client) => client.reasons.length === 0 && client.reader.offset < scene.log.head))
            await turn();
          for (const client of clients) {
            if (broken.has(client) || blocked.has(client)) continue;
            const due = published.flatMap((to, i) =>
              to.some((key) => client.reader.keys.includes(key)) ? [String(i + 1)] : [],
            );
            assert.deepEqual(
              client.got.filter((text) => text !== 'ping'),
              due,
            );
          }
          // Those who stopped are told of what was let go of meanwhile, and hear nothing twice.
          for (const client of blocked) {
            const heard = client.got.map(Number).filter((seq) => seq > 0);
            assert.deepEqual(
              heard,
              [...new Set(heard)].sort((a, b) => a - b),
            );
          }
          assert.ok([...broken].every(({ reasons }) => reasons.length <= 1));
        },
      ),
      { numRuns: 50 },
    );
  });
});
