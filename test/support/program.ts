import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** A program that tests need and npm does not bring. */
export interface Program {
  /** What people call it. */
  readonly title: string;
  /** Its file may have any of these names. */
  readonly names: readonly string[];
  /** Debian's package of it. */
  readonly debian: string;
  /** The environment variable that says where another one is. */
  readonly variable?: string;
}

const INSTALL_MS = 300_000;

/**
 * Finds a program: the one that its variable names, else the system's, else one that is installed first (root on Debian).
 *
 * Where none can be had it throws in CI; elsewhere it says loudly what is skipped, and returns `undefined`.
 */
export function findProgram(program: Program, skipped: string): string | undefined {
  const found = find(program) ?? install(program);
  if (found !== undefined) return found;

  const { title, debian, variable } = program;
  const how = `install it (Debian: apt-get install ${debian})${variable === undefined ? '' : ` or set ${variable} to one`}`;
  if (process.env.CI) throw new Error(`no ${title} found for ${skipped}: ${how}`);
  console.error(`\n!!! SKIPPED, no ${title} found: ${skipped}. To run it, ${how}.\n`);
  return undefined;
}

function find({ names, variable }: Program): string | undefined {
  const given = variable === undefined ? undefined : process.env[variable];
  if (given) {
    if (!isExecutable(given)) throw new Error(`${variable} is "${given}"; nothing there can be run`);
    return given;
  }
  const folders = ['/usr/bin', '/usr/sbin', ...(process.env.PATH ?? '').split(path.delimiter)];
  return names.flatMap((name) => folders.map((folder) => path.join(folder, name))).find(isExecutable);
}

function install(program: Program): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !isExecutable('/usr/bin/apt-get')) return undefined;
  // Test files run at the same time, but apt does not.
  const lock = path.join(tmpdir(), 'egg-sse-test-apt.lock');
  const command = `apt-get update && apt-get install -y ${program.debian}`;
  try {
    execFileSync('flock', [lock, 'sh', '-c', command], {
      timeout: INSTALL_MS,
      encoding: 'utf8',
      stdio: 'pipe',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  } catch (error) {
    const { message, stdout, stderr } = error as Error & { stdout?: string; stderr?: string };
    console.error(`${program.title} could not be installed: ${message}\n${stdout ?? ''}${stderr ?? ''}`);
  }
  return find(program);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
