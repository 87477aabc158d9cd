import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';

// USER_HZ, which is the same on every Linux.
const TICKS_PER_SECOND = 100;

/** What the figures depend on. */
export function describeMachine(): string {
  const [first] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${first?.model.trim()}, ${memory} GiB, Linux ${release()}, Node.js ${process.version}`;
}

/** How many files a process may have open at most. Node.js takes all that it may. */
export function openFilesLimit(): number {
  return Number(/^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? Infinity);
}

/** Seconds of CPU that processes have used, in all. */
export function cpuSeconds(pids: readonly number[]): number {
  return sum(pids, (pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [user, system] = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 13);
    return (Number(user) + Number(system)) / TICKS_PER_SECOND;
  });
}

/** Bytes of memory that processes have of their own, in all. */
export function residentBytes(pids: readonly number[]): number {
  return sum(pids, (pid) => bytesOf(`/proc/${pid}/status`, 'RssAnon'));
}

/** Bytes of memory that the kernel has for objects of its own, such as sockets and open files. */
export function kernelBytes(): number {
  return bytesOf('/proc/meminfo', 'SUnreclaim');
}

function bytesOf(file: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(file, 'utf8'))?.[1] ?? NaN) * 1_024;
}

function sum(pids: readonly number[], of: (pid: number) => number): number {
  return pids.reduce((total, pid) => total + of(pid), 0);
}
