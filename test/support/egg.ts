import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import mm, { type MockApplication, type MockOption } from 'egg-mock';
import { eventually } from './eventually';
import { appPath, FixtureDir, pluginsOf, type Worker } from './fixture';
import { freePort } from './free_port';

/** What an app is. */
export interface AppOptions {
  /** A folder of test/fixtures/apps. */
  app?: string;
  /** What the app `basic` is configured with. */
  config?: object;
  /** Plugins besides the app's own: folders of test/fixtures/plugins, by name. */
  plugins?: Readonly<Record<string, string>>;
}

/** An Egg app within this process, by egg-mock, with a port: `app.httpRequest()` would wait for every open stream. */
export class EggApp {
  readonly url: string;
  readonly #app: MockApplication;
  readonly #server: Server;
  readonly #dir: FixtureDir;

  private constructor(app: MockApplication, server: Server, dir: FixtureDir) {
    this.#app = app;
    this.#server = server;
    this.#dir = dir;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** Starts one. */
  static async start({ app: name = 'basic', config, plugins = {} }: AppOptions = {}): Promise<EggApp> {
    const dir = new FixtureDir();
    Object.assign(process.env, dir.environment(config));
    const app = mm.app({ baseDir: appPath(name), plugins: pluginsOf(plugins), cache: false, clean: false });
    await app.ready();
    const server = app.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new EggApp(app, server, dir);
  }

  /** What the app `basic` wrote to a log. */
  log(name: string): string {
    return this.#dir.log(name);
  }

  async stop(): Promise<void> {
    await this.#app.close();
    this.#server.closeAllConnections();
    this.#server.close();
    this.#dir.remove();
  }
}

/**
 * An Egg app with workers, by egg-mock: master, agent and workers, each a process.
 *
 * In Egg's test environment, where a worker that dies is not forked anew, and `mm` asks one of them after every test: what
 * kills or stops processes needs a `Cluster`.
 */
export class Workers {
  readonly url: string;
  readonly #app: MockApplication;
  readonly #workers: number;
  readonly #dir: FixtureDir;

  private constructor(app: MockApplication, port: number, workers: number, dir: FixtureDir) {
    this.#app = app;
    this.#workers = workers;
    this.#dir = dir;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Starts them; resolves when all of them serve. */
  static async start({
    app: name = 'basic',
    config,
    plugins = {},
    workers,
  }: AppOptions & { workers: number }): Promise<Workers> {
    const dir = new FixtureDir();
    // Of a process's own, `mm` takes the same port for its first cluster as every other process does.
    const port = await freePort();
    const options: MockOption & { workers: number; port: number; opt: object } = {
      baseDir: appPath(name),
      plugins: pluginsOf({ ownPort: 'own_port', ...plugins }),
      cache: false,
      clean: false,
      workers,
      port,
      opt: { env: { ...process.env, ...dir.environment(config) } },
    };
    const app = mm.cluster(options);
    await app.ready();
    const started = new Workers(app, port, workers, dir);
    await started.allWorkers();
    return started;
  }

  /** The living workers. */
  workers(): Worker[] {
    return this.#dir.workers();
  }

  /** The workers, once all of them serve. */
  async allWorkers(): Promise<Worker[]> {
    await eventually(() => this.workers().length === this.#workers, 'all workers live');
    return this.workers();
  }

  /** What the processes wrote to a file of the test's folder. */
  read(name: string): string {
    return this.#dir.read(name);
  }

  /** Writes a file of the test's folder, which is there whole or not at all. */
  write(name: string, text: string): void {
    this.#dir.write(name, text);
  }

  async stop(): Promise<void> {
    await this.#app.close();
    this.#dir.remove();
  }
}
