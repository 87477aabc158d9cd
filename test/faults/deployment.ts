import { Cluster, type Worker } from '../support/cluster';
import { Proxy } from '../support/proxy';
import { RedisServer } from '../support/redis_server';

/** One of Egg's clusters, and its link to Redis. */
export interface Host {
  readonly cluster: Cluster;
  readonly link: Proxy | undefined;
}

/** What a deployment is made of. */
export interface DeploymentOptions {
  /** One has no Redis; several share one, which each reaches by a link of its own. */
  readonly hosts: number;
  /** Workers of each host. */
  readonly workers: number;
  readonly env: NodeJS.ProcessEnv;
}

/** Everything that can fail: hosts with their workers, and Redis where there are several. */
export class Deployment {
  readonly hosts: readonly Host[];
  readonly redis: RedisServer | undefined;

  private constructor(hosts: readonly Host[], redis: RedisServer | undefined) {
    this.hosts = hosts;
    this.redis = redis;
  }

  static async start({ hosts: count, workers, env }: DeploymentOptions): Promise<Deployment> {
    // With `everysec` it answers, now and then, before it has written: then it loses that when it is killed.
    const redis = count > 1 ? await RedisServer.start(['--appendonly', 'yes', '--appendfsync', 'always']) : undefined;
    const hosts: Host[] = [];
    try {
      for (let i = 0; i < count; i++) {
        const link = redis && (await Proxy.start(redis.port));
        const sse = {
          // Everything stays long enough for whoever is away: a gap that is told is a false one.
          history: { age: redis === undefined ? 30_000 : 60_000, count: 1_000_000, bytes: 512 * 1024 * 1024 },
          maxUnsentBytes: 64 * 1024,
          maxAge: 20_000,
          retry: 50,
          ...(link && { redis: { ...link.options, maxMessages: 1_000_000 } }),
        };
        hosts.push({ cluster: await Cluster.start({ app: 'faults', workers, env, config: { sse } }), link });
      }
      return new Deployment(hosts, redis);
    } catch (error) {
      await new Deployment(hosts, redis).stop();
      throw error;
    }
  }

  get links(): Proxy[] {
    return this.hosts.flatMap(({ link }) => link ?? []);
  }

  /** The living workers of all hosts. */
  workers(): Worker[] {
    return this.hosts.flatMap(({ cluster }) => cluster.workers());
  }

  /** The workers, once all of them live and serve. */
  async allWorkers(): Promise<Worker[]> {
    return (await Promise.all(this.hosts.map(({ cluster }) => cluster.allWorkers()))).flat();
  }

  /** The errors that its processes logged or printed. */
  get errors(): string {
    const isError = (line: string): boolean => !line.includes(' INFO ');
    return this.hosts
      .map(({ cluster }) => cluster.errors.split('\n').filter(isError).join('\n').slice(-16_000))
      .join('\n');
  }

  async stop(): Promise<void> {
    await Promise.all(this.hosts.map(({ cluster }) => cluster.stop()));
    await Promise.all(this.links.map((link) => link.stop()));
    await this.redis?.stop();
  }
}
