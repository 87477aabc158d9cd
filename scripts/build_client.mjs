// Builds the browser client: one module without imports, lib/client/client.mjs.
import { join } from 'node:path';
import { build } from 'esbuild';

const client = join(import.meta.dirname, '../lib/client');

await build({
  entryPoints: [join(client, 'index.mts')],
  outfile: join(client, 'client.mjs'),
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  charset: 'utf8',
  logLevel: 'warning',
});
