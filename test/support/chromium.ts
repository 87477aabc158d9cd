import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { chromium, type Browser } from 'playwright-core';

const INSTALL_MS = 300_000;
const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Starts a headless Chromium: that of `CHROMIUM_PATH`, else the system's, else one that is installed first (root on
 * Debian).
 *
 * Where none can be had it throws in CI; elsewhere it says loudly what is skipped, and resolves with `undefined`.
 */
export async function launchChromium(skipped: string): Promise<Browser | undefined> {
  const executablePath = findChromium() ?? (await installChromium());
  if (executablePath !== undefined) return chromium.launch({ executablePath, args: ARGS });

  const how = 'install Chromium (Debian: apt-get install chromium) or set CHROMIUM_PATH to one';
  if (process.env.CI) throw new Error(`no Chromium found for ${skipped}: ${how}`);
  console.error(`\n!!! SKIPPED, no Chromium found: ${skipped}. To run it, ${how}.\n`);
  return undefined;
}

function findChromium(): string | undefined {
  const { CHROMIUM_PATH } = process.env;
  if (CHROMIUM_PATH) {
    if (!isExecutable(CHROMIUM_PATH)) throw new Error(`CHROMIUM_PATH is "${CHROMIUM_PATH}"; nothing there can be run`);
    return CHROMIUM_PATH;
  }
  const folders = ['/usr/bin', ...(process.env.PATH ?? '').split(path.delimiter)];
  return NAMES.flatMap((name) => folders.map((folder) => path.join(folder, name))).find(isExecutable);
}

async function installChromium(): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !isExecutable('/usr/bin/apt-get')) return undefined;
  const run = promisify(execFile);
  const options = { timeout: INSTALL_MS, env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  try {
    await run('apt-get', ['update'], options);
    await run('apt-get', ['install', '-y', 'chromium'], options);
  } catch (error) {
    const { message, stdout, stderr } = error as Error & { stdout?: string; stderr?: string };
    console.error(`Chromium could not be installed: ${message}\n${stdout ?? ''}${stderr ?? ''}`);
  }
  return findChromium();
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
