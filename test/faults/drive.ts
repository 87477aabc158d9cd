import { existsSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { Cluster, type Worker } from '../support/cluster';
import { eventually } from '../support/eventually';
import { BEAT, FaultClient } from './client';
import { HEAVY, HEAVY_PUBLISHER, KEYS, messageOf } from './message';
import { Oracle, type Verdict } from './oracle';
import { makeRandom } from './random';

/** How often each kind of fault has to strike. */
export interface FaultCounts {
  /** Clients that drop their connection. */
  disconnect: number;
  /** Clients that stop reading until the worker feels it, and go on. */
  stall: number;
  /** Workers that are killed (SIGKILL). */
  workerKill: number;
  /** Agents that are killed (SIGKILL). */
  agentKill: number;
  /** Workers that are stopped (SIGSTOP) and continued. */
  workerStop: number;
}

/** What to do. */
export interface Plan {
  readonly seed: number;
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
const STALLING = 10;
const HEAVY_BURST = 20;
const MAX_HEAVY_BURSTS = 8;

/** Publishes from several workers at once to many clients while processes and connections fail; then asks the oracle. */
export async function drive(plan: Plan): Promise<Outcome> {
  const began = performance.now();
  const say = plan.onProgress ?? (() => undefined);
  const cluster = await Cluster.start({
    app: 'faults',
    workers: plan.workers,
    env: { FIXTURE_SPOIL: plan.spoil ?? 'none:1' },
    config: {
      sse: {
        // Everything stays long enough for whoever is away: a gap that is told is a false one.
        history: { age: 30_000, count: 1_000_000, bytes: 512 * 1024 * 1024 },
        maxUnsentBytes: 64 * 1024,
        maxAge: 20_000,
        retry: 50,
      },
    },
  });
  const running = new Drive(plan, cluster, say);
  try {
    return await running.run(began);
  } catch (cause) {
    throw new Error(`the run did not end; the cluster's errors:\n${cluster.errors.slice(-8_000)}`, { cause });
  } finally {
    running.close();
    await cluster.stop();
  }
}

class Drive {
  readonly #plan: Plan;
  readonly #cluster: Cluster;
  readonly #say: (text: string) => void;
  readonly #random: () => number;
  readonly #oracle = new Oracle();
  readonly #clients: FaultClient[];
  readonly #struck: FaultCounts = { disconnect: 0, stall: 0, workerKill: 0, agentKill: 0, workerStop: 0 };
  readonly #without: string[] = [];
  readonly #faultTimes: number[] = [];
  readonly #beats: { name: string; at: number }[] = [];
  #publishing = true;
  #striking = true;

  constructor(plan: Plan, cluster: Cluster, say: (text: string) => void) {
    this.#plan = plan;
    this.#cluster = cluster;
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
    await Promise.all([this.#disconnects(), this.#stalls(), this.#processFaults()]);
    this.#striking = false;
    this.#say(`all faults have struck: ${JSON.stringify(this.#struck)}, ${this.#oracle.count} messages`);
    await eventually(() => this.#isCut || this.#oracle.count >= this.#plan.messages, 'enough is published');
    this.#publishing = false;
    await publishing;
    await beating;
    await this.#cluster.allWorkers();
    await eventually(() => this.#clients.every(({ isOpen }) => isOpen), 'all clients are back');
    await this.#serveAll();
    this.close();
    return {
      ...this.#oracle.judge(this.#clients),
      clients: this.#clients.length,
      struck: this.#struck,
      without: this.#without,
      longestMs: this.#longestMs(),
      ms: performance.now() - began,
    };
  }

  close(): void {
    this.#publishing = false;
    for (const client of this.#clients) client.close();
  }

  #anyWorker(random: () => number): Worker | undefined {
    const workers = this.#cluster.workers();
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
    for (; worker === undefined; worker = this.#anyWorker(random)) await pause(50);
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
    const { agentKill, workerKill, workerStop } = this.#plan.faults;
    const seconds = 5 + Math.max(8 * agentKill, 4 * workerKill, workerStop);
    return Math.min(4_000, Math.max(60, this.#plan.messages / seconds));
  }

  async #lines(url: string, onLine: (line: string) => void, onEnd = (): unknown => undefined): Promise<void> {
    await new Promise<void>((resolve) => {
      const request = get(url, { agent: false }, (response) => {
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

  async #sendBeat(): Promise<string> {
    const name = `${BEAT}${this.#beats.length}`;
    const at = performance.now();
    const worker = this.#anyWorker(Math.random);
    let done = false;
    if (worker !== undefined) {
      await this.#lines(
        `${worker.url}/beat?beat=${name}`,
        () => undefined,
        () => (done = true),
      );
    }
    if (done) this.#beats.push({ name, at });
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
    while (
      (!this.#isCut && this.#struck.disconnect < this.#plan.faults.disconnect) ||
      this.#othersStrike('disconnect')
    ) {
      const client = this.#clients[Math.floor(this.#random() * this.#clients.length)]!;
      if (client.disconnect()) this.#struck.disconnect++;
      await pause(5 + 40 * this.#random());
    }
  }

  /** Lets some clients stop reading, publishes large messages until their workers feel it, and lets them go on. */
  async #stalls(): Promise<void> {
    const random = makeRandom(this.#plan.seed + 2_000);
    const stalling = this.#clients.slice(0, STALLING);
    for (
      let first = 0;
      (!this.#isCut && this.#struck.stall < this.#plan.faults.stall) || this.#othersStrike('stall');
    ) {
      const stalled = stalling
        .filter((client) => client.pause())
        .map((client) => ({ client, worker: client.worker, connections: client.connections }));
      const felt = new Set<number>();
      for (let i = 0; i < MAX_HEAVY_BURSTS; i++) {
        await this.#burst(HEAVY_PUBLISHER, first, HEAVY_BURST, random);
        first += HEAVY_BURST;
        const workers = this.#cluster.workers().filter(({ pid }) => stalled.some(({ worker }) => worker === pid));
        for (const { pid, url } of workers) if ((await statsOf(url))?.unsentBytes) felt.add(pid);
        if (workers.every(({ pid }) => felt.has(pid))) break;
      }
      for (const { client, worker, connections } of stalled) {
        // One whose connection was lost meanwhile has another one, which reads.
        if (client.connections === connections && felt.has(worker!)) this.#struck.stall++;
        client.resume();
      }
      // The large messages stay in the history for a while: more of them would have the processes do little else than
      // hand that over to those that start.
      await pause(5_000 + 5_000 * random());
    }
  }

  /** Each kind in a loop of its own, so that they also strike together. */
  async #processFaults(): Promise<void> {
    const loops = (['workerKill', 'agentKill', 'workerStop'] as const).map(async (kind, i) => {
      const random = makeRandom(this.#plan.seed + 3_000 + i);
      for (let n = 1; n <= this.#plan.faults[kind] && !this.#isCut; n++) {
        this.#say(`${kind} ${n}, ${this.#oracle.count} messages`);
        await this.#strike(kind, random);
        this.#struck[kind]++;
        await pause(500 * random());
        // An agent that lives for a moment only cannot hand its history to a worker that starts.
        if (kind === 'agentKill') await Promise.race([this.#cluster.allWorkers(), pause(10_000)]);
      }
    });
    await Promise.all(loops);
    this.#processFaultsOver = true;
  }

  async #strike(kind: 'workerKill' | 'agentKill' | 'workerStop', random: () => number): Promise<void> {
    if (kind === 'agentKill') {
      await eventually(() => !this.#masterLooksSoon(), "Egg's master has looked");
      const pid = await this.#cluster.agentPid();
      this.#faultTimes.push(performance.now());
      await this.#cluster.signal(pid, 'SIGKILL');
      if ((await this.#cluster.agentPid()) === pid) this.#without.push(`agent ${pid} did not die`);
      const before = this.#beats.length;
      await eventually(() => this.#beats.length > before + 1, 'messages are ordered again');
      return;
    }
    const workers = await this.#cluster.allWorkers();
    const { pid } = workers[Math.floor(random() * workers.length)]!;
    // Without a client on it, nobody would notice.
    await eventually(
      () => this.#clients.some(({ worker }) => worker === pid) || !this.#isAlive(pid),
      'a client is on it',
    );
    if (!this.#isAlive(pid)) return this.#strike(kind, random);
    this.#faultTimes.push(performance.now());
    if (kind === 'workerKill') {
      await this.#cluster.signal(pid, 'SIGKILL');
      await eventually(() => this.#clients.every(({ worker }) => worker !== pid), 'its clients have noticed');
      await this.#cluster.allWorkers();
      if (this.#isAlive(pid)) this.#without.push(`worker ${pid} lives`);
      return;
    }
    await this.#cluster.signal(pid, 'SIGSTOP');
    await eventually(() => !['R', 'S', 'D'].includes(stateOf(pid)), 'the worker is stopped or gone');
    await pause(200 + 800 * random());
    const state = stateOf(pid);
    if (state === 'T') await this.#cluster.signal(pid, 'SIGCONT');
    // One that was killed meanwhile does not count as stopped.
    else if (state === '' || state === 'Z' || state === 'X') await this.#strike(kind, random);
    else this.#without.push(`worker ${pid} went on by itself: ${state}`);
  }

  /**
   * Egg's master looks every 10 s, a little late each time, whether there is an agent, and ends the app when there was
   * none three times in a row. Agents that are killed every few seconds must not be missing just then.
   */
  #masterLooksSoon(): boolean {
    const sinceLook = (performance.now() - this.#cluster.readyAt) % 10_000;
    return sinceLook < 2_000 || sinceLook > 8_500;
  }

  #isAlive(pid: number): boolean {
    return this.#cluster.workers().some((worker) => worker.pid === pid);
  }

  #processFaultsOver = false;

  get #isCut(): boolean {
    return this.#plan.signal?.aborted === true;
  }

  /** Whether faults of another kind are still to come: then this kind goes on, so that they meet. */
  #othersStrike(kind: 'disconnect' | 'stall'): boolean {
    const other = kind === 'disconnect' ? 'stall' : 'disconnect';
    if (this.#isCut) return false;
    return !this.#processFaultsOver || this.#struck[other] < this.#plan.faults[other];
  }

  #longestMs(): number {
    let longest = 0;
    for (const at of this.#faultTimes) {
      const times = this.#beats
        .filter((beat) => beat.at >= at && this.#clients.every((client) => client.beats.has(beat.name)))
        .map(({ name }) => Math.max(...this.#clients.map((client) => client.beats.get(name)!)));
      if (times.length > 0) longest = Math.max(longest, Math.min(...times) - at);
    }
    return longest;
  }
}

/** The state of a process as the kernel tells it: `T` is stopped, `Z` and `X` are dead; empty when it is gone. */
function stateOf(pid: number): string {
  const file = `/proc/${pid}/stat`;
  return existsSync(file) ? readFileSync(file, 'utf8').split(') ')[1]!.charAt(0) : '';
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
