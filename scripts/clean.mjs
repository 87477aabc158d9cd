// Removes what the build wrote next to the sources, and nothing else: an app.js left beside app.ts would be loaded in
// its place, and tests would run old code.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const paths = [
  ...readdirSync(root).filter((name) => name === 'app.ts' || name === 'agent.ts'),
  ...['app', 'config', 'lib'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true }).map((path) => join(folder, path)),
  ),
];

// Of all of the client's sources.
rmSync(join(root, 'lib/client/client.mjs'), { force: true });
for (const path of paths) {
  const [, name, module] = /^(.*)\.(m?)ts$/.exec(path) ?? [];
  // A declaration is built, not a source.
  if (name === undefined || name.endsWith('.d')) continue;
  for (const built of [`${name}.${module}js`, `${name}.d.${module}ts`]) rmSync(join(root, built), { force: true });
}
