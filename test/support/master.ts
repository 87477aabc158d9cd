import { EventEmitter } from 'node:events';
import { MessengerBroker, type MessengerTimes } from '../../lib/broker/messenger/messenger_broker';
import { Sequencer, type SequencerTimes } from '../../lib/broker/messenger/sequencer';
import { openChannel, pidOf } from '../../lib/base/channel';
import type { ToWorkers, ToAgent } from '../../lib/broker/messenger/protocol';

/** A process as the master sees it: what is on its way to it, in order, as text. */
class Pipe {
  readonly arrivals = new EventEmitter();
  #waiting: [string, string][] = [];
  #stopped = false;
  alive = true;

  constructor() {
    this.arrivals.setMaxListeners(0);
  }

  send(name: string, text: string): void {
    if (!this.alive) return;
    this.#waiting.push([name, text]);
    setImmediate(() => this.#arrive());
  }

  stop(): void {
    this.#stopped = true;
  }

  continue(): void {
    this.#stopped = false;
    setImmediate(() => this.#arrive());
  }

  #arrive(): void {
    if (this.#stopped || !this.alive) return;
    for (const [name, text] of this.#waiting.splice(0)) this.arrivals.emit(name, JSON.parse(text));
  }
}

/**
 * Stands in for Egg's master within one process: passes messages on between workers and an agent as it does (in order,
 * as JSON, to all workers or none), and lets them die, stop and start again.
 */
export class Master {
  readonly #workers = new Map<string, Pipe>();
  #agent: Pipe | undefined;
  #sequencer: Sequencer | undefined;
  #pid = 100;
  /** A hole in the channel: what it returns true for is lost on its way to a worker. */
  loses: (name: string, pid: string) => boolean = () => false;
  /** What workers have sent to the agent, by name. */
  readonly toAgent: string[] = [];

  startAgent(times: Partial<SequencerTimes> = {}): Sequencer {
    const pipe = new Pipe();
    const channel = openChannel<ToWorkers, ToAgent>(pipe.arrivals, (name, data, worker) => {
      if (!pipe.alive) return;
      const text = JSON.stringify(data);
      for (const [pid, to] of this.#workers) {
        if ((worker === undefined || pidOf(worker) === pid) && !this.loses(name, pid)) to.send(name, text);
      }
    });
    const sequencer = new Sequencer(channel, {
      alone: 50,
      silent: 3_000,
      gather: 5,
      fetch: 500,
      answer: 300,
      ...times,
    });
    this.#agent = pipe;
    this.#sequencer = sequencer;
    if (this.#workers.size > 0) sequencer.listening([...this.#workers.keys()]);
    return sequencer;
  }

  killAgent(): void {
    this.#agent!.alive = false;
    this.#agent = undefined;
    void this.#sequencer!.stop();
  }

  stopAgent(): void {
    this.#agent!.stop();
  }

  continueAgent(): void {
    this.#agent!.continue();
  }

  startWorker(times: Partial<MessengerTimes> = {}): { broker: MessengerBroker; pid: string } {
    const pid = String(++this.#pid);
    const pipe = new Pipe();
    this.#workers.set(pid, pipe);
    const channel = openChannel<ToAgent, ToWorkers>(pipe.arrivals, (name, data) => {
      const text = JSON.stringify(data);
      if (!pipe.alive) return;
      this.toAgent.push(name);
      this.#agent?.send(name, text);
    });
    return { broker: new MessengerBroker(channel, { pid: Number(pid), times }), pid };
  }

  /** Says who listens, as Egg's master does when that changes. */
  tell(): void {
    this.#sequencer?.listening([...this.#workers.keys()]);
  }

  killWorker(pid: string): void {
    this.#workers.get(pid)!.alive = false;
    this.#workers.delete(pid);
    this.tell();
  }

  stopWorker(pid: string): void {
    this.#workers.get(pid)!.stop();
  }

  continueWorker(pid: string): void {
    this.#workers.get(pid)!.continue();
  }
}
