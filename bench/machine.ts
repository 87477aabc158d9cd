import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';

/** Where what runs: `[]`, or the beginning of a command that keeps a program on one core. */
export interface Cores {
  readonly servers: readonly string[];
  readonly clients: readonly string[];
  /** What is not as it should be. */
  readonly warning: string | undefined;
}

/** Keeps servers and clients on different cores; this process goes to that of the clients. */
export function divide(): Cores {
  if (availableParallelism() < 2)
    return { servers: [], clients: [], warning: 'one core: servers and clients share it' };
  if (!has('taskset')) {
    return { servers: [], clients: [], warning: 'no taskset (util-linux): servers and clients may share a core' };
  }
  execFileSync('taskset', ['-acp', '1', String(process.pid)], { stdio: 'ignore' });
  return { servers: ['taskset', '-c', '0'], clients: ['taskset', '-c', '1'], warning: undefined };
}

/** Whether a program can be run by its name. */
export function has(program: string): boolean {
  return pathOf(program) !== undefined;
}

function pathOf(program: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin'];
  return folders.map((folder) => `${folder}/${program}`).find((path) => existsSync(path));
}

/** nginx's module of nchan, if nginx is there as well. */
export function findNchan(): string | undefined {
  if (!has('nginx')) return undefined;
  return ['/usr/lib/nginx/modules', '/usr/lib64/nginx/modules', '/usr/share/nginx/modules']
    .map((folder) => `${folder}/ngx_nchan_module.so`)
    .find((path) => existsSync(path));
}

/** Open files that a process may have. */
export function openFiles(): number {
  const limit = execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim();
  return limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit);
}

/** Seconds of CPU that a process has taken. */
export function cpuOf(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  // Each thread's time in ns; /proc/<pid>/stat counts in steps of 10 ms.
  const ns = readdirSync(tasks).reduce((sum, thread) => {
    try {
      return sum + Number(readFileSync(`${tasks}/${thread}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      // It ended meanwhile.
      return sum;
    }
  }, 0);
  return ns / 1e9;
}

/** Bytes of a process's own memory, that no file backs. */
export function memoryOf(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Anonymous:\s+(\d+) kB$/m.exec(rollup)![1]) * 1024;
}

/** What the figures were measured on. */
export function describeMachine(): string {
  const { model } = cpus()[0]!;
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} cores of ${model}, ${memory} GiB, Linux ${release().split('-')[0]}, Node.js ${process.versions.node}`;
}
