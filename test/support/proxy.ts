import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A link of a test's own to a server on this machine: it can be cut, be slow, and lose answers. */
export class Proxy {
  /** The port of the server that new connections go to. */
  target: number;
  /** How long bytes take, either way, in ms. */
  delay = 0;
  /** Whether what the server answers gets lost. */
  losesAnswers = false;
  /** Connections that were taken, so far. */
  accepted = 0;
  /** Connections that were refused, so far. */
  refused = 0;
  /** Connections that were taken and are over, whoever ended them. */
  ended = 0;
  /** Bytes that were late, so far. */
  lateBytes = 0;
  /** Bytes of answers that got lost, so far. */
  lostBytes = 0;
  readonly #server: Server;
  readonly #pairs = new Set<() => void>();
  #isCut = false;

  private constructor(target: number) {
    this.target = target;
    this.#server = createServer({ noDelay: true }, (client) => this.#take(client));
  }

  /** Starts one, on a free port. */
  static async start(target: number): Promise<Proxy> {
    const proxy = new Proxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  /** What a client connects to. */
  get options(): { host: string; port: number } {
    return { host: '127.0.0.1', port: (this.#server.address() as AddressInfo).port };
  }

  /** Connections, now. */
  get open(): number {
    return this.#pairs.size;
  }

  /** Ends all connections and refuses new ones until it is mended; returns how many it ended. */
  cut(): number {
    this.#isCut = true;
    return this.drop();
  }

  mend(): void {
    this.#isCut = false;
  }

  /** Ends all connections; returns how many. */
  drop(): number {
    const count = this.#pairs.size;
    for (const end of this.#pairs) end();
    return count;
  }

  async stop(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #take(client: Socket): void {
    client.on('error', () => undefined);
    if (this.#isCut) {
      this.refused++;
      client.resetAndDestroy();
      return;
    }
    this.accepted++;
    const server = connect({ port: this.target, host: '127.0.0.1', noDelay: true });
    const end = (): void => {
      if (!this.#pairs.delete(end)) return;
      this.ended++;
      client.destroy();
      server.destroy();
    };
    this.#pairs.add(end);
    server.on('error', end);
    this.#carry(client, server, end);
    this.#carry(server, client, end, () => this.losesAnswers);
  }

  /** Carries bytes one way, in order, each as late as the link is slow when it comes. */
  #carry(from: Socket, to: Socket, end: () => void, loses = (): boolean => false): void {
    const late: { at: number; send: () => void }[] = [];
    const flush = (): void => {
      const now = performance.now();
      while (late.length > 0 && late[0]!.at <= now) late.shift()!.send();
      if (late.length > 0) setTimeout(flush, late[0]!.at - now);
    };
    const send = (bytes: number, act: () => void): void => {
      if (this.delay === 0 && late.length === 0) {
        act();
        return;
      }
      this.lateBytes += bytes;
      const at = Math.max(performance.now() + this.delay, late.at(-1)?.at ?? 0);
      late.push({ at, send: act });
      if (late.length === 1) setTimeout(flush, at - performance.now());
    };
    from.on('data', (chunk: Buffer) => {
      if (loses()) this.lostBytes += chunk.length;
      else send(chunk.length, () => to.write(chunk));
    });
    from.on('close', () => send(0, end));
  }
}
