// Runs tests by egg-bin: `npm test`, or `npm test -- log hub` for the files whose path contains one of the words.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { sep } from 'node:path';

// What takes long: `npm run test:all` runs it …
const LONG = ['bench', 'browser', 'e2e', 'egg/production', 'faults', 'hosts', 'package'];
// … but for these, of which `npm test` is to have some: a real browser, and real processes that are killed.
const SAMPLES = ['browser/connection.test.ts', 'egg/production/egg.test.ts'];
// A safety net only: a test that waits gives up after a minute and says for what. Installing a browser takes some.
const TIMEOUT_MS = 600_000;

const isLong = (file) =>
  LONG.some((folder) => file.startsWith(`test/${folder}/`)) && !SAMPLES.some((sample) => file === `test/${sample}`);

const [command, ...args] = process.argv.slice(2);
const runsLong = args.includes('--long');
const words = args.filter((arg) => !arg.startsWith('-'));
const options = args.filter((arg) => arg.startsWith('-') && arg !== '--long');
const files = readdirSync('test', { recursive: true })
  .map((file) => `test/${file.split(sep).join('/')}`)
  .filter((file) => /\.test\.m?ts$/.test(file) && !file.includes('node_modules'))
  .filter((file) => (words.length === 0 ? isLong(file) === runsLong : words.some((word) => file.includes(word))));
if (files.length === 0) {
  console.error(`no test file has ${words.join(' or ')} in its path`);
  process.exit(1);
}
// Node 22 takes TypeScript that mocha imports for its own, and then cannot read it: it is for egg-bin's compiler.
const NO_TYPES = '--no-experimental-strip-types';
const nodeOptions = process.allowedNodeEnvironmentFlags.has(NO_TYPES) ? [NO_TYPES] : [];
const runner = spawn(
  'egg-bin',
  [
    command,
    ...['--parallel', '--jobs=2', '--no-auto-agent', '--no-mochawesome', `--timeout=${TIMEOUT_MS}`],
    ...options,
    ...files,
  ],
  {
    stdio: 'inherit',
    env: { ...process.env, NODE_OPTIONS: [process.env.NODE_OPTIONS, ...nodeOptions].join(' ').trim() },
  },
);
runner.on('exit', (code, signal) => process.exit(signal === null ? code : 1));
