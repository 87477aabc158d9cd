// Builds the browser client: one module without imports, lib/client/client.mjs.
import { join } from 'node:path';
import { build } from 'esbuild';

const client = join(import.meta.dirname, '../lib/client');

// Names of properties that only the client's own files read, in fewer bytes. Add at the end: some of them stand in what tabs
// say to each other, and those of two builds must understand each other.
const INTERNAL = [
  ...['hasHeaders', 'held', 'missed', 'asking', 'change', 'events', 'onState', 'onEvents', 'isLeaving', 'memory'],
  ...['detach', 'attach', 'remember', 'forget', 'identify', 'setKeys', 'cursor', 'hold', 'feed', 'wake', 'after'],
];

await build({
  entryPoints: [join(client, 'index.mts')],
  outfile: join(client, 'client.mjs'),
  bundle: true,
  minify: true,
  mangleProps: new RegExp(`^(${INTERNAL.join('|')})$`),
  mangleCache: Object.fromEntries(INTERNAL.map((name, i) => [name, String.fromCharCode(97 + i)])),
  format: 'esm',
  target: 'es2022',
  charset: 'utf8',
  logLevel: 'warning',
});
