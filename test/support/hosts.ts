import { Cluster, type Worker } from './cluster';
import { RedisServer } from './redis_server';

/** Hosts of two workers each that share a Redis which loses nothing that it has answered. */
export class Hosts {
  readonly redis: RedisServer;
  readonly clusters: Cluster[] = [];
  readonly #sse: object;

  private constructor(redis: RedisServer, sse: object) {
    this.redis = redis;
    this.#sse = sse;
  }

  /** Starts two, with more of `config.sse`. */
  static async start(sse: object): Promise<Hosts> {
    const hosts = new Hosts(await RedisServer.start(['--appendonly', 'yes', '--appendfsync', 'always']), sse);
    await hosts.add();
    await hosts.add();
    return hosts;
  }

  /** Starts one more. */
  async add(): Promise<void> {
    const sse = { redis: this.redis.options, pingInterval: 1_000, ...this.#sse };
    this.clusters.push(await Cluster.start({ workers: 2, config: { sse } }));
  }

  /** A worker of a host. */
  async worker(host: number): Promise<Worker> {
    return (await this.clusters[host]!.allWorkers())[0]!;
  }

  async stop(): Promise<void> {
    await Promise.all(this.clusters.map((cluster) => cluster.stop()));
    await this.redis.stop();
  }
}
