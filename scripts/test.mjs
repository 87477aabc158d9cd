// Runs the tests: `npm test`, or `npm test -- log hub` for the files whose path contains one of the words.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import './clean.mjs';
import './build_client.mjs';

const words = process.argv.slice(2).filter((word) => !word.startsWith('-'));
const options = process.argv.slice(2).filter((word) => word.startsWith('-'));
const files = readdirSync('test', { recursive: true })
  .map((file) => join('test', file))
  // What installs the packed plugin into other apps has a command of its own: `npm run test:package`.
  .filter(
    (file) => /\.test\.m?ts$/.test(file) && !file.includes('node_modules') && !file.startsWith(join('test', 'package')),
  )
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
if (files.length === 0) {
  console.error(`no test file has ${words.join(' or ')} in its path`);
  process.exit(1);
}
const runner = spawn(
  process.execPath,
  ['--import', 'tsx', '--test', '--test-reporter=spec', '--test-concurrency=2', ...options, ...files],
  { stdio: 'inherit' },
);
runner.on('exit', (code, signal) => process.exit(signal === null ? code : 1));
