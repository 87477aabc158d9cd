// `npm run faults`: goes on until each kind of fault has struck 300 times in each deployment, and prints a line of each.
// Ctrl-C ends it early, with what it has found until then. FAULTS and SEED make it another run; `npm run faults -- redis`
// runs one deployment only.
import { drive, type Plan } from './drive';
import { each, HOST_KINDS, REDIS_KINDS } from './kinds';

const count = Number(process.env.FAULTS ?? 300);
const seed = Number(process.env.SEED ?? 1);

const DEPLOYMENTS: Readonly<Record<string, { hosts: number; workers: number; faults: Plan['faults'] }>> = {
  cluster: { hosts: 1, workers: 4, faults: each(HOST_KINDS, count) },
  redis: { hosts: 2, workers: 2, faults: each([...HOST_KINDS, ...REDIS_KINDS], count) },
};

const cut = new AbortController();
process.once('SIGINT', () => cut.abort());

async function run(name: string): Promise<void> {
  const outcome = await drive({
    ...DEPLOYMENTS[name]!,
    seed,
    clients: 200,
    messages: 20_000,
    signal: cut.signal,
    onProgress: (text) => process.stderr.write(`${text}\n`),
  });
  const { struck, lost, twice, outOfOrder, strange, gaps, acknowledged, clients, deliveries, longestMs, ms } = outcome;
  const faults = Object.values(struck).reduce((sum, times) => sum + times, 0);
  console.log(
    `${name}: ${faults} faults survived (${Object.entries(struck)
      .map(([kind, times]) => `${kind} ${times}`)
      .join(', ')}); ` +
      `${acknowledged} messages × ${clients} clients, ${deliveries} deliveries: ${lost} lost, ${twice} twice, ` +
      `${outOfOrder} out of order, ${strange} strange, ${gaps} false gaps; ` +
      `all were served again within ${(longestMs / 1_000).toFixed(1)} s; seed ${seed}, ${Math.round(ms / 1_000)} s`,
  );
  for (const line of [...outcome.examples, ...outcome.without]) console.log(line);
  if (lost + twice + outOfOrder + strange + gaps + outcome.without.length > 0) process.exitCode = 1;
}

async function main(): Promise<void> {
  const asked = process.argv.slice(2);
  const unknown = asked.filter((name) => !(name in DEPLOYMENTS));
  if (unknown.length > 0)
    throw new Error(`there is no ${unknown.join(', ')}, only ${Object.keys(DEPLOYMENTS).join(', ')}`);
  for (const name of asked.length > 0 ? asked : Object.keys(DEPLOYMENTS)) if (!cut.signal.aborted) await run(name);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
