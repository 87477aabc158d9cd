import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { has } from './machine';

const root = join(__dirname, '..');
/** What is built for a run; git ignores it. */
export const buildDir = join(__dirname, '.build');

/** Compiles client.c or limit.c, and says where the program is. */
export function compile(name: 'client' | 'limit'): string {
  if (!has('gcc'))
    throw new Error('no gcc: the clients of the benchmark are a C program; install gcc (Debian: gcc libc6-dev)');
  mkdirSync(buildDir, { recursive: true });
  const program = join(buildDir, name);
  execFileSync('gcc', ['-O2', '-Wall', '-Wextra', '-o', program, join(__dirname, `${name}.c`)], { stdio: 'inherit' });
  return program;
}

/** Builds the plugin as npm would publish it, apart from the sources. Says where it is. */
export function buildPlugin(): string {
  const plugin = join(buildDir, 'egg-sse');
  rmSync(plugin, { recursive: true, force: true });
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', plugin], {
    stdio: 'inherit',
  });
  cpSync(join(root, 'package.json'), join(plugin, 'package.json'));
  // What tsc leaves: the scripts for Redis.
  cpSync(join(root, 'lib'), join(plugin, 'lib'), {
    recursive: true,
    filter: (path) => statSync(path).isDirectory() || path.endsWith('.lua'),
  });
  return plugin;
}

/** Installs what the plugin is compared with, once. */
export function installRivals(): void {
  if (existsSync(join(__dirname, 'node_modules/.package-lock.json'))) return;
  console.error('installing what bench/package.json names …');
  execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: __dirname, stdio: ['ignore', 'inherit', 'inherit'] });
}
