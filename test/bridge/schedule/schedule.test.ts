import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { Arbiter } from '../../../lib/bridge/schedule/arbiter';
import { HostLease } from '../../../lib/bridge/schedule/host_lease';
import { setLease, type ToArbiter, type ToLeases } from '../../../lib/bridge/schedule/lease';
import { WorkerLease, type WorkerLeaseTimes } from '../../../lib/bridge/schedule/worker_lease';
import { sseSchedule, type SseScheduleOptions } from '../../../lib/bridge/schedule/schedule';
import { openChannel } from '../../../lib/base/channel';
import { SseError } from '../../../lib/base/error';
import type { SseMessage } from '../../../lib/message/message';
import type { Receipt } from '../../../lib/message/publish';
import { eventually } from '../../support/eventually';

/** A schedule of a test: what it loads comes from the test. */
type Options = SseScheduleOptions<{ load(): unknown }>;

/** An agent and workers of one host, and what the agent published. */
class Host {
  readonly published: unknown[] = [];
  /** What publishing waits for, or fails with. */
  publishing: () => Promise<void> = async () => undefined;
  #agent: EventEmitter | undefined;
  readonly #workers = new Set<EventEmitter>();
  readonly #leases: WorkerLease[] = [];
  #onTheWay = 0;

  startAgent(): void {
    const arrivals = new EventEmitter();
    this.#agent = arrivals;
    const publish = async (message: SseMessage): Promise<Receipt> => {
      await this.publishing();
      this.published.push(message);
      return { id: '', reach: 'host' };
    };
    const channel = openChannel<ToLeases, ToArbiter>(arrivals, (name, data) => {
      if (this.#agent !== arrivals) return;
      for (const worker of this.#workers) this.#pass(worker, name, data);
    });
    const lease = new HostLease(channel, {
      publish: (_key, message) => publish(message),
      publishAll: (message) => publish(message),
    });
    new Arbiter(channel, lease).start();
  }

  killAgent(): void {
    this.#agent = undefined;
  }

  /** Starts a worker; returns what Egg does there at each tick of a schedule. */
  startWorker(
    options: Partial<Options> = {},
    times?: Partial<WorkerLeaseTimes>,
  ): (load: () => unknown) => Promise<void> {
    const arrivals = new EventEmitter();
    this.#workers.add(arrivals);
    const channel = openChannel<ToArbiter, ToLeases>(arrivals, (name, data) => {
      if (this.#agent !== undefined) this.#pass(this.#agent, name, data);
    });
    const lease = new WorkerLease(channel, { again: 20, ...times });
    this.#leases.push(lease);
    lease.start();
    const app = {};
    setLease(app, lease);
    const { task } = sseSchedule<{ load(): unknown }>({
      interval: '5s',
      key: 'prices',
      event: 'changed',
      load: (ctx) => ctx.load(),
      ...options,
    });
    return (load) => task({ app, query: { path: '/app/schedule/prices.js' }, load } as never);
  }

  /** The data of what was published. */
  get data(): unknown[] {
    return this.published.map((message) => (message as { data: unknown }).data);
  }

  /** Resolves when all that was said has been heard. */
  async quiet(): Promise<void> {
    await eventually(() => this.#onTheWay === 0);
  }

  #pass(to: EventEmitter, name: string, data: unknown): void {
    const text = JSON.stringify(data);
    this.#onTheWay++;
    setImmediate(() => {
      to.emit(name, JSON.parse(text));
      this.#onTheWay--;
    });
  }

  stop(): void {
    this.#agent = undefined;
    for (const lease of this.#leases) lease.stop();
  }
}

/** A result that the test gives when it likes. */
function deferred(): { promise: Promise<unknown>; resolve(value: unknown): void } {
  let resolve: (value: unknown) => void;
  const promise = new Promise((done) => (resolve = done));
  return { promise, resolve: (value) => resolve(value) };
}

describe('a schedule made by sseSchedule', () => {
  const hosts: Host[] = [];
  afterEach(() => hosts.splice(0).forEach((host) => host.stop()));

  function startHost(): Host {
    const host = new Host();
    hosts.push(host);
    host.startAgent();
    return host;
  }

  it('publishes its first result, and then what has changed, whichever worker loads it', async () => {
    const host = startHost();
    const workers = [host.startWorker(), host.startWorker()];
    for (const [i, result] of [{ eur: 1 }, { eur: 1 }, { eur: 1 }, { eur: 2 }, { eur: 2 }, { eur: 1 }].entries()) {
      await workers[i % 2]!(async () => result);
    }
    assert.deepEqual(host.published, [
      { event: 'changed', data: '{"eur":1}' },
      { event: 'changed', data: '{"eur":2}' },
      { event: 'changed', data: '{"eur":1}' },
    ]);
  });

  it('publishes nothing when there is nothing, and knows what was published before that', async () => {
    const host = startHost();
    const tick = host.startWorker();
    for (const result of ['a', undefined, 'a', undefined, 'b']) await tick(() => result);
    assert.deepEqual(host.data, ['a', 'b']);
  });

  it('does not publish again in a worker that was started later', async () => {
    const host = startHost();
    await host.startWorker()(() => 'a');
    const late = host.startWorker();
    await late(() => 'a');
    assert.deepEqual(host.data, ['a']);
    await late(() => 'b');
    assert.deepEqual(host.data, ['a', 'b']);
  });

  it('does not publish again after the agent died, not even in a worker that was started meanwhile', async () => {
    const host = startHost();
    const tick = host.startWorker();
    await tick(() => 'a');
    host.killAgent();
    const late = host.startWorker();
    host.startAgent();
    // Egg's schedules begin when the new agent is ready, which is later.
    await host.quiet();
    await late(() => 'a');
    await tick(() => 'a');
    assert.deepEqual(host.data, ['a']);
    await late(() => 'b');
    assert.deepEqual(host.data, ['a', 'b']);
  });

  it('offers its result again to the next agent when one dies', async () => {
    const host = startHost();
    const tick = host.startWorker();
    const { promise, resolve } = deferred();
    const done = tick(() => promise);
    host.killAgent();
    resolve('a');
    await promise;
    host.startAgent();
    await done;
    assert.deepEqual(host.data, ['a']);
  });

  it('never publishes an older result after a newer one, when a load is still running at the next tick', async () => {
    const host = startHost();
    const [first, second] = [host.startWorker(), host.startWorker()];
    const slow = deferred();
    const loading = first(() => slow.promise);
    await second(() => 'new');
    slow.resolve('old');
    await loading;
    assert.deepEqual(host.data, ['new']);

    // A newer run that finds nothing new makes an older one old, too.
    const slower = deferred();
    const stillLoading = second(() => slower.promise);
    await first(() => 'new');
    slower.resolve('old');
    await stillLoading;
    assert.deepEqual(host.data, ['new']);
  });

  it('tries again at the next tick when load throws, or its result cannot be sent', async () => {
    const host = startHost();
    const tick = host.startWorker();
    await assert.rejects(
      tick(() => {
        throw new Error('the bank is closed');
      }),
      /the bank is closed/,
    );
    await assert.rejects(
      tick(() => 7n),
      (error) => error instanceof SseError && error.code === 'ERR_SSE_DATA',
    );
    await tick(() => 'a');
    assert.deepEqual(host.data, ['a']);
  });

  it('tries again at the next tick when the result could not be published', async () => {
    const host = startHost();
    const tick = host.startWorker();
    host.publishing = async () => {
      throw new SseError('ERR_SSE_UNAVAILABLE', 'there is no order', { status: 503 });
    };
    await assert.rejects(
      tick(() => 'a'),
      (error) => error instanceof SseError && error.code === 'ERR_SSE_UNAVAILABLE' && error.status === 503,
    );
    host.publishing = async () => undefined;
    await tick(() => 'a');
    assert.deepEqual(host.data, ['a']);
  });

  it('publishes once what is offered again while it is being published', async () => {
    const host = startHost();
    const tick = host.startWorker({}, { again: 1 });
    const slow = deferred();
    let asked = 0;
    host.publishing = async () => {
      asked++;
      await slow.promise;
    };
    const done = tick(() => 'a');
    const again = tick(() => 'a');
    await eventually(() => asked > 0);
    slow.resolve(undefined);
    await Promise.all([done, again]);
    assert.deepEqual(host.data, ['a']);
  });

  it('fails when no agent answers in time', async () => {
    const host = startHost();
    const tick = host.startWorker({}, { publish: 30 });
    host.killAgent();
    await assert.rejects(
      tick(() => 'a'),
      /the agent did not answer in 30 ms; .* the next run tries again/,
    );
  });

  it('sends to everyone, and without a name, if it is told so', async () => {
    const host = startHost();
    await host.startWorker({ key: undefined, all: true, event: undefined })(() => 'a');
    assert.deepEqual(host.data, ['a']);
  });

  it('says what is wrong in an app without the plugin', async () => {
    const { task } = sseSchedule({ interval: 1_000, key: 'a', load: () => 'a' });
    await assert.rejects(task({ app: {}, query: {} }), /the app has no plugin egg-sse; enable it/);
  });
});

describe('sseSchedule', () => {
  const load = (): string => 'x';

  it("makes what Egg's loader wants, and passes on what Egg knows", () => {
    const made = sseSchedule({
      cron: '0 0 * * * *',
      cronOptions: { tz: 'Asia/Shanghai' },
      immediate: true,
      disable: false,
      env: ['prod'],
      key: ['a', 'b'],
      load,
    });
    assert.deepEqual(made.schedule, {
      type: 'worker',
      cron: '0 0 * * * *',
      cronOptions: { tz: 'Asia/Shanghai' },
      immediate: true,
      disable: false,
      env: ['prod'],
    });
    assert.equal(typeof made.task, 'function');
    assert.deepEqual(sseSchedule({ interval: '1.5 minutes', all: true, load }).schedule, {
      type: 'worker',
      interval: '1.5 minutes',
    });
    assert.deepEqual(sseSchedule({ immediate: true, key: 'a', load }).schedule, { type: 'worker', immediate: true });
  });

  const wrong: [string, unknown, RegExp][] = [
    ['no options', undefined, /sseSchedule needs an object/],
    ['no times', { key: 'a', load }, /neither interval nor cron; say one of them/],
    ['two times', { interval: 1, cron: '* * * * *', key: 'a', load }, /both interval and cron/],
    ['an interval of 0', { interval: 0, key: 'a', load }, /sseSchedule\.interval is 0; it must be a number of ms/],
    ['an interval that is no time', { interval: 'soon', key: 'a', load }, /interval is "soon"/],
    ['an empty cron', { cron: ' ', key: 'a', load }, /cron is " "/],
    ['no key', { interval: 1, load }, /sseSchedule has neither key nor all/],
    ['an empty key', { interval: 1, key: '', load }, /sseSchedule\.key is ""/],
    ['key and all', { interval: 1, key: 'a', all: true, load }, /both key and all/],
    ["an event of the plugin's own", { interval: 1, key: 'a', event: 'sse:x', load }, /event is "sse:x"/],
    ['no load', { interval: 1, key: 'a' }, /load is undefined; it must be a function/],
    ['a type', { interval: 1, key: 'a', load, type: 'all' }, /sseSchedule\.type is not an option/],
    [
      'immediate that is a text',
      { interval: 1, key: 'a', load, immediate: 'yes' },
      /immediate is "yes"; it must be true or false/,
    ],
    ['env that is a text', { interval: 1, key: 'a', load, env: 'prod' }, /env is "prod"/],
  ];
  for (const [name, options, text] of wrong) {
    it(`refuses ${name} when it is called, which is when the app starts`, () => {
      assert.throws(
        () => sseSchedule(options as Options),
        (error) => error instanceof SseError && error.code === 'ERR_SSE_CONFIG' && text.test(error.message),
      );
    });
  }
});
