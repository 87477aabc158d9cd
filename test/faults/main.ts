// `npm run faults`: goes on until each kind of fault has struck 300 times, and prints the README's line. Ctrl-C ends it
// early, with what it has found until then. FAULTS and SEED make it another run.
import { drive, type FaultCounts } from './drive';

const each = Number(process.env.FAULTS ?? 300);
const seed = Number(process.env.SEED ?? 1);

const cut = new AbortController();
process.once('SIGINT', () => cut.abort());

async function main(): Promise<void> {
  const outcome = await drive({
    seed,
    workers: 4,
    clients: 200,
    messages: 20_000,
    faults: {
      disconnect: each,
      stall: each,
      workerKill: each,
      agentKill: each,
      workerStop: each,
    } satisfies FaultCounts,
    signal: cut.signal,
    onProgress: (text) => process.stderr.write(`${text}\n`),
  });
  const { struck, lost, twice, outOfOrder, strange, gaps, acknowledged, clients, deliveries, longestMs, ms } = outcome;
  const faults = Object.values(struck).reduce((sum, count) => sum + count, 0);
  console.log(
    `${faults} faults survived (${Object.entries(struck)
      .map(([kind, count]) => `${kind} ${count}`)
      .join(', ')}); ` +
      `${acknowledged} messages × ${clients} clients, ${deliveries} deliveries: ${lost} lost, ${twice} twice, ` +
      `${outOfOrder} out of order, ${strange} strange, ${gaps} false gaps; ` +
      `all were served again within ${(longestMs / 1_000).toFixed(1)} s; seed ${seed}, ${Math.round(ms / 1_000)} s`,
  );
  for (const line of [...outcome.examples, ...outcome.without]) console.log(line);
  if (lost + twice + outOfOrder + strange + gaps + outcome.without.length > 0) process.exitCode = 1;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
