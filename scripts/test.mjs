// Runs tests by egg-bin: `npm test`, or `npm test -- log hub` for the files whose path contains one of the words.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

// What takes long: `npm run test:all` runs it.
const REST = ['browser', 'e2e', 'faults', 'hosts', 'package'].map((folder) => join('test', folder, '/'));
// A safety net only: what is waited for in a test is given up after a minute, and then the test says what it was.
const TIMEOUT_MS = 300_000;

const [command, ...args] = process.argv.slice(2);
const isRest = args.includes('--rest');
const words = args.filter((arg) => !arg.startsWith('-'));
const options = args.filter((arg) => arg.startsWith('-') && arg !== '--rest');
const files = readdirSync('test', { recursive: true })
  .map((file) => join('test', file))
  .filter((file) => /\.test\.m?ts$/.test(file) && !file.includes('node_modules'))
  .filter((file) =>
    words.length === 0
      ? REST.some((folder) => file.startsWith(folder)) === isRest
      : words.some((word) => file.includes(word)),
  );
if (files.length === 0) {
  console.error(`no test file has ${words.join(' or ')} in its path`);
  process.exit(1);
}
const runner = spawn(
  'egg-bin',
  [
    command,
    ...['--parallel', '--jobs=2', '--no-auto-agent', '--no-mochawesome', `--timeout=${TIMEOUT_MS}`],
    ...options,
    ...files,
  ],
  { stdio: 'inherit' },
);
runner.on('exit', (code, signal) => process.exit(signal === null ? code : 1));
