import { readFileSync } from 'node:fs';
import { cpuOf } from '../machine';

/** How many files a process may have open at most. Node.js takes all that it may. */
export function openFilesLimit(): number {
  return Number(/^Max open files\s+\S+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? Infinity);
}

/** Seconds of CPU that processes have used, in all. */
export function cpuSeconds(pids: readonly number[]): number {
  return sum(pids, cpuOf);
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
