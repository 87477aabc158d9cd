import { get } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Worker } from '../support/cluster';
import { eventually } from '../support/eventually';
import { BEAT, FaultClient } from './client';
import { Deployment } from './deployment';
import { LINK_KINDS, STORE_KINDS, type FaultCounts, type FaultKind, type StoreFault } from './kinds';
import { HEAVY, HEAVY_PUBLISHER, KEYS, messageOf } from './message';
import { Oracle, type Verdict } from './oracle';
import { breakProcess } from './process_faults';
import { makeRandom } from './random';
import { breakLink, breakStore } from './redis_faults';
import type { Scene } from './scene';

/** What to do. */
export interface Plan {
  readonly seed: number;
  /** Left out: one, without Redis. Several share a Redis. */
  readonly hosts?: number;
  /** Workers of each host. */
  readonly workers: number;
  readonly clients: number;
  readonly messages: number;
  readonly faults: FaultCounts;
  /** What spoils deliveries in the workers, for the test of the oracle: `drop:1000`. */
  readonly spoil?: string;
  readonly onProgress?: (text: string) => void;
  /** Ends it early: what has struck until then is judged. */
  readonly signal?: AbortSignal;
}

/** What came of it. */
export interface Outcome extends Verdict {
  readonly clients: number;
  readonly struck: FaultCounts;
  /** Faults that should have had an effect and had none. */
  readonly without: readonly string[];
  /** The longest time from a fault until every client got a message published after it, in ms. */
  readonly longestMs: number;
  readonly ms: number;
}

const PUBLISHERS = 4;
const BURST = 50;
const BEAT_MS = 3_000;
// So many faults without effect end the run.
const MAX_WITHOUT = 20;
const STALLING = 10;
const HEAVY_BURST = 20;
const MAX_HEAVY_BURSTS = 8;

/** Publishes from several workers at once to many clients while processes and connections fail; then asks the oracle. */
export async function drive(plan: Plan): Promise<Outcome> {
  const began = performance.now();
  const say = plan.onProgress ?? (() => undefined);
  const deployment = await Deployment.start({
    hosts: plan.hosts ?? 1,
    workers: plan.workers,
    env: { FIXTURE_SPOIL: plan.spoil ?? 'none:1' },
  });
  const running = new Drive(plan, deployment, say);
  try {
    return await running.run(began);
  } catch (cause) {
    throw new Error(`the run did not end; the errors of its processes:\n${deployment.errors}`, { cause });
  } finally {
    running.close();
    await deployment.stop();
  }
}

class Drive {
  readonly #plan: Plan;
  readonly #deployment: Deployment;
  readonly #say: (text: string) => void;
  readonly #random: () => number;
  readonly #oracle = new Oracle();
  readonly #clients: FaultClient[];
  readonly #struck = new Map<FaultKind, number>();
  readonly #without: string[] = [];
  readonly #faultTimes: number[] = [];
  readonly #beats: { name: string; at: number }[] = [];
  #beatsSent = 0;
  #publishing = true;
  #striking = true;
  #closed = false;

  constructor(plan: Plan, deployment: Deployment, say: (text: string) => void) {
    this.#plan = plan;
    this.#deployment = deployment;
    this.#say = say;
    this.#random = makeRandom(plan.seed);
    const random = makeRandom(plan.seed + 1);
    this.#clients = Array.from({ length: plan.clients }, (_, i) => {
      const keys = new Set(i < STALLING ? [HEAVY] : []);
      const count = 1 + Math.floor(random() * 5);
      while (keys.size < count) keys.add(KEYS[Math.floor(random() * KEYS.length)]!);
      return new FaultClient(`client ${i}`, [...keys], () => this.#anyWorker(random), makeRandom(plan.seed + 2 + i));
    });
  }

  async run(began: number): Promise<Outcome> {
    for (const client of this.#clients) client.connect();
    await eventually(() => this.#clients.every(({ isOpen }) => isOpen), 'all clients are connected');
    await this.#serveAll();
    const beating = this.#beat();
    const publishing = Promise.all(Array.from({ length: PUBLISHERS }, (_, i) => this.#publish(i)));
    await Promise.all([this.#disconnects(), this.#stalls(), this.#otherFaults()]);
    this.#striking = false;
    this.#say(`all faults have struck: ${JSON.stringify(this.#counts)}, ${this.#oracle.count} messages`);
    await eventually(() => this.#isCut || this.#oracle.count >= this.#plan.messages, 'enough is published');
    this.#publishing = false;
    await publishing;
    await beating;
    await this.#deployment.allWorkers();
    await eventually(() => this.#clients.every(({ isOpen }) => isOpen), 'all clients are back');
    await this.#serveAll();
    this.close();
    return {
      ...this.#oracle.judge(this.#clients),
      clients: this.#clients.length,
      struck: this.#counts,
      without: this.#without,
      longestMs: this.#longestMs(),
      ms: performance.now() - began,
    };
  }

  close(): void {
    this.#closed = true;
    this.#publishing = false;
    for (const client of this.#clients) client.close();
  }

  #anyWorker(random: () => number): Worker | undefined {
    const workers = this.#deployment.workers();
    return workers[Math.floor(random() * workers.length)];
  }

  /** Publishes in bursts, each in some worker. */
  async #publish(publisher: number): Promise<void> {
    const random = makeRandom(this.#plan.seed + 1_000 + publisher);
    for (let first = 0; this.#publishing; first += BURST) {
      await this.#burst(publisher, first, BURST, random);
      // While faults are still to come, what is published lasts until then.
      if (this.#striking) await pause((1_000 * BURST * PUBLISHERS) / this.#rate());
    }
  }

  /** Publishes some messages at once in some worker, and notes what became of each. */
  async #burst(publisher: number, first: number, count: number, random: () => number): Promise<void> {
    let worker = this.#anyWorker(random);
    for (; worker === undefined; worker = this.#anyWorker(random)) {
      if (this.#closed) return;
      await pause(50);
    }
    const { seed } = this.#plan;
    for (let n = first; n < first + count; n++) {
      const { text, key } = messageOf(seed, publisher, n);
      this.#oracle.publishes(text, key);
    }
    const query = `seed=${seed}&publisher=${publisher}&first=${first}&count=${count}`;
    await this.#lines(`${worker.url}/burst?${query}`, (line) => {
      const [n, fate] = line.split(' ');
      this.#oracle.settles(`p${publisher}.${n}`, fate as 'acknowledged' | 'refused');
    });
  }

  /** Messages a second: as many as the plan wants in the time that its faults take. */
  #rate(): number {
    const of = (kind: FaultKind): number => this.#plan.faults[kind] ?? 0;
    const store = STORE_KINDS.reduce((sum, kind) => sum + of(kind), 0);
    const seconds = 5 + Math.max(8 * of('agentKill'), 4 * of('workerKill'), of('workerStop'), 2 * store);
    return Math.min(4_000, Math.max(60, this.#plan.messages / seconds));
  }

  async #lines(url: string, onLine: (line: string) => void, onEnd = (): unknown => undefined, ms = 0): Promise<void> {
    await new Promise<void>((resolve) => {
      const signal = ms === 0 ? undefined : AbortSignal.timeout(ms);
      const request = get(url, { agent: false, signal }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          const lines = (text + chunk).split('\n');
          text = lines.pop()!;
          for (const line of lines) onLine(line);
        });
        // A worker that died leaves the rest unknown.
        response.on('error', () => undefined);
        response.on('end', () => response.statusCode === 200 && onEnd());
        response.on('close', resolve);
      });
      request.on('error', () => resolve());
    });
  }

  async #beat(): Promise<void> {
    while (this.#publishing) {
      await this.#sendBeat();
      await pause(200);
    }
  }

  async #sendBeat(onDone = (): void => undefined): Promise<string> {
    const name = `${BEAT}${this.#beatsSent++}`;
    const at = performance.now();
    const worker = this.#anyWorker(Math.random);
    let done = false;
    if (worker !== undefined) {
      await this.#lines(
        `${worker.url}/beat?beat=${name}`,
        () => undefined,
        () => (done = true),
        // Another worker may be able to, meanwhile.
        BEAT_MS,
      );
    }
    if (done) {
      this.#beats.push({ name, at });
      onDone();
    }
    return name;
  }

  /** Resolves when every client has got a message that was published now. */
  async #serveAll(): Promise<void> {
    const beats = new Set<string>();
    let last = 0;
    await eventually(async () => {
      if (performance.now() - last > 1_000) {
        beats.add(await this.#sendBeat());
        last = performance.now();
      }
      return this.#clients.every((client) => [...beats].some((beat) => client.beats.has(beat)));
    }, 'all clients are served');
  }

  async #disconnects(): Promise<void> {
    while (this.#isDue('disconnect') || this.#othersStrike('disconnect')) {
      const client = this.#clients[Math.floor(this.#random() * this.#clients.length)]!;
      if (client.disconnect()) this.#strikes('disconnect');
      await pause(5 + 40 * this.#random());
    }
  }

  /** Lets some clients stop reading, publishes large messages until their workers feel it, and lets them go on. */
  async #stalls(): Promise<void> {
    const random = makeRandom(this.#plan.seed + 2_000);
    const stalling = this.#clients.slice(0, STALLING);
    for (let first = 0; this.#isDue('stall') || this.#othersStrike('stall');) {
      const stalled = stalling
        .filter((client) => client.pause())
        .map((client) => ({ client, worker: client.worker, connections: client.connections }));
      const felt = new Set<number>();
      for (let i = 0; i < MAX_HEAVY_BURSTS; i++) {
        await this.#burst(HEAVY_PUBLISHER, first, HEAVY_BURST, random);
        first += HEAVY_BURST;
        const workers = this.#deployment.workers().filter(({ pid }) => stalled.some(({ worker }) => worker === pid));
        for (const { pid, url } of workers) if ((await statsOf(url))?.unsentBytes) felt.add(pid);
        if (workers.every(({ pid }) => felt.has(pid))) break;
      }
      for (const { client, worker, connections } of stalled) {
        // One whose connection was lost meanwhile has another one, which reads.
        if (client.connections === connections && felt.has(worker!)) this.#strikes('stall');
        client.resume();
      }
      // The large messages stay in the history for a while: more of them would have the processes do little else than
      // hand that over to those that start.
      await pause(5_000 + 5_000 * random());
    }
  }

  /** Each kind in a loop of its own, so that they also strike together; but Redis itself is broken in one way at a time. */
  async #otherFaults(): Promise<void> {
    const { seed } = this.#plan;
    const scene = this.#scene;
    const loops = (['workerKill', 'agentKill', 'workerStop'] as const).map(async (kind, i) => {
      const random = makeRandom(seed + 3_000 + i);
      while (this.#isDue(kind)) {
        await this.#strike(kind, () => breakProcess(kind, scene, random));
        await pause(500 * random());
        // An agent that lives for a moment only cannot hand its history to a worker that starts.
        if (kind === 'agentKill') await Promise.race([this.#deployment.allWorkers(), pause(10_000)]);
      }
    });
    const links = LINK_KINDS.map(async (kind, i) => {
      const random = makeRandom(seed + 4_000 + i);
      while (this.#isDue(kind)) {
        await this.#strike(kind, () => breakLink(kind, scene, random));
        await pause(2_000 * random());
      }
    });
    await Promise.all([...loops, ...links, this.#storeFaults(makeRandom(seed + 5_000))]);
    this.#otherFaultsOver = true;
  }

  async #storeFaults(random: () => number): Promise<void> {
    for (;;) {
      const due: readonly StoreFault[] = STORE_KINDS.filter((kind) => this.#isDue(kind));
      const kind = due[Math.floor(random() * due.length)];
      if (kind === undefined) return;
      const n = 1 + (this.#struck.get(kind) ?? 0);
      await this.#strike(kind, () => breakStore(kind, n, this.#scene, random));
      await pause(500 * random());
    }
  }

  async #strike(kind: FaultKind, strike: () => Promise<void>): Promise<void> {
    this.#say(`${kind} ${1 + (this.#struck.get(kind) ?? 0)}, ${this.#oracle.count} messages`);
    const withoutEffect = this.#without.length;
    try {
      await strike();
    } catch (cause) {
      throw new Error(`${kind} failed`, { cause });
    }
    if (this.#without.length === withoutEffect) this.#strikes(kind);
  }

  get #scene(): Scene {
    return {
      deployment: this.#deployment,
      clients: this.#clients,
      breaks: () => void this.#faultTimes.push(performance.now()),
      hadNoEffect: (what) => void this.#without.push(what),
      publish: () => {
        const publish = { acknowledged: false };
        void this.#sendBeat((): void => void (publish.acknowledged = true));
        return publish;
      },
      isServed: async () => {
        const before = this.#beats.length;
        await eventually(() => this.#beats.length > before + 1, 'messages are ordered again');
      },
    };
  }

  #strikes(kind: FaultKind): void {
    this.#struck.set(kind, 1 + (this.#struck.get(kind) ?? 0));
  }

  get #counts(): FaultCounts {
    return Object.fromEntries(
      Object.keys(this.#plan.faults).map((kind) => [kind, this.#struck.get(kind as FaultKind) ?? 0]),
    );
  }

  /** Whether a kind has not struck often enough. */
  #isDue(kind: FaultKind): boolean {
    if (this.#without.length >= MAX_WITHOUT) return false;
    return !this.#isCut && (this.#struck.get(kind) ?? 0) < (this.#plan.faults[kind] ?? 0);
  }

  #otherFaultsOver = false;

  /** Whether nothing more is to be broken. */
  get #isCut(): boolean {
    return this.#closed || this.#plan.signal?.aborted === true;
  }

  /** Whether faults of another kind are still to come: then this kind goes on, so that they meet. */
  #othersStrike(kind: 'disconnect' | 'stall'): boolean {
    return !this.#isCut && (!this.#otherFaultsOver || this.#isDue(kind === 'disconnect' ? 'stall' : 'disconnect'));
  }

  #longestMs(): number {
    // When everyone had them.
    const served = this.#beats
      .filter(({ name }) => this.#clients.every((client) => client.beats.has(name)))
      .map(({ name, at }) => ({ at, by: Math.max(...this.#clients.map((client) => client.beats.get(name)!)) }));
    const times = this.#faultTimes.map(
      (at) => Math.min(...served.filter((beat) => beat.at >= at).map(({ by }) => by)) - at,
    );
    return Math.max(0, ...times.filter(Number.isFinite));
  }
}

async function statsOf(url: string): Promise<{ unsentBytes: number } | undefined> {
  try {
    const response = await fetch(`${url}/stats`, { signal: AbortSignal.timeout(2_000) });
    return (await response.json()) as { unsentBytes: number };
  } catch (error) {
    // A worker that is dead or stopped feels nothing.
    if (error instanceof Error) return undefined;
    throw error;
  }
}
