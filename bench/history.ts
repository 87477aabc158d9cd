// What history costs: `node --expose-gc --import tsx bench/history.ts`.
// Memory of a log at its bound, and the time of a resume as the log grows. Ratios hold on any machine.
import { Log } from '../lib/log/log';
import { Readers } from '../lib/log/readers';
import { parseLastEventId } from '../lib/order/cursor';

const EPOCH = 'aaaaaaaa';

function fill(log: Log, messages: number, keys: number, bytes: number): void {
  const text = 'x'.repeat(bytes);
  for (let i = 1; i <= messages; i++) {
    // As it comes from another process.
    const body = JSON.parse(JSON.stringify(`data: ${text}\n`)) as string;
    const nonce = `1234-abcdef01.${i}`;
    log.append({ keys: [`key${i % keys}`], body, nonce }, { epoch: EPOCH, seq: i });
  }
  log.settle(log.head);
}

function resident(): number {
  for (let i = 0; i < 4; i++) globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

console.log('memory of a log at its bound of 32 MiB');
// All are kept until the end: what one lets go of must not hide what the next takes.
const logs: Log[] = [];
for (const [bytes, keys] of [
  [20, 10],
  [20, 100_000],
  [200, 1_000],
  [2_000, 1_000],
] as const) {
  const before = resident();
  const log = new Log({ history: { age: 1e9, count: 1e9, bytes: 32 * 1024 * 1024 } });
  logs.push(log);
  fill(log, 200_000, keys, bytes);
  const used = resident() - before;
  const { messages, bytes: counted } = log.size;
  console.log(
    `  messages of ${bytes} B, ${keys} keys: ${messages} kept, counted as ${(counted / 1e6).toFixed(1)} MB, measured ${(used / 1e6).toFixed(1)} MB (× ${(used / counted).toFixed(2)})`,
  );
}

console.log('a resume that replays 10 messages of one of 100 keys');
const times: number[] = [];
// The first round is for the compiler.
for (const kept of [1_000, 1_000, 10_000, 100_000]) {
  const log = new Log({ history: { age: 1e9, count: 1e9, bytes: 1e9 } });
  const readers = new Readers(log);
  fill(log, kept, 100, 200);
  const lastEventId = parseLastEventId(`${EPOCH}-${kept - 1_000}`);
  const runs = 20_000;
  const began = performance.now();
  for (let i = 0; i < runs; i++) readers.read(readers.resume(lastEventId, ['@all', `key${i % 100}`]).reader, 1e6);
  times.push(((performance.now() - began) * 1_000) / runs);
  if (times.length === 1) continue;
  console.log(`  ${kept} messages kept: ${times.at(-1)!.toFixed(1)} µs (× ${(times.at(-1)! / times[1]!).toFixed(2)})`);
}
