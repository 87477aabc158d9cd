/**
 * What compression costs: one deflate stream that all clients share, beside one for each client.
 *
 * `node --expose-gc --import tsx bench/compression.ts [clients] [messages]`
 */
import { constants, createDeflateRaw, type DeflateRaw } from 'node:zlib';
import { NOTHING_SHARED, SharedDeflate, type Inflater } from '../lib/connection/deflate';

const [clients = 500, messages = 200] = process.argv.slice(2).map(Number) as [number?, number?];

function message(i: number): Buffer {
  const random = (i * 2_654_435_761) % 2 ** 32;
  const data = {
    id: i,
    symbol: `EGG${random % 50}`,
    price: (random % 100_000) / 100,
    volume: random % 9_999,
    at: 1.7e12 + i,
  };
  const text = JSON.stringify({
    ...data,
    venue: 'somewhere on the exchange',
    currency: 'EUR',
    state: 'open for trading',
  });
  return Buffer.from(`event: quote\ndata: ${text}\nid: abcdefgh-${i.toString(36)}\n\n`);
}

interface Figures {
  readonly cpuMicros: number;
  readonly bytes: number;
  readonly memory: number;
}

/** CPU and bytes per delivery, and bytes of memory per client. */
async function measure(run: () => Promise<{ bytes: number; keep: unknown }>): Promise<Figures> {
  globalThis.gc!();
  const before = process.memoryUsage().rss;
  const start = process.cpuUsage();
  const { bytes, keep } = await run();
  const { user, system } = process.cpuUsage(start);
  globalThis.gc!();
  const memory = process.memoryUsage().rss - before;
  if (keep === undefined) throw new Error('nothing was kept');
  const deliveries = clients * messages;
  return { cpuMicros: (user + system) / deliveries, bytes: bytes / deliveries, memory: memory / clients };
}

async function main(): Promise<void> {
  const shared = await measure(async () => {
    const deflate = new SharedDeflate(6);
    const all: Inflater[] = Array.from({ length: clients }, () => ({ heard: NOTHING_SHARED }));
    let bytes = 0;
    for (let i = 0; i < messages; i++) {
      const plain = message(i);
      for (const client of all) bytes += deflate.compress(plain, client, true).length;
    }
    return { bytes, keep: [deflate, all] };
  });

  const each = await measure(async () => {
    let bytes = 0;
    const streams: DeflateRaw[] = Array.from({ length: clients }, () => {
      const stream = createDeflateRaw({ level: 6 });
      stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
      return stream;
    });
    for (let i = 0; i < messages; i++) {
      const plain = message(i);
      await Promise.all(
        streams.map(
          (stream) =>
            new Promise<void>((resolve) => {
              stream.write(plain);
              stream.flush(constants.Z_SYNC_FLUSH, resolve);
            }),
        ),
      );
    }
    return { bytes, keep: streams };
  });

  const plainBytes = Array.from({ length: messages }, (_, i) => message(i).length).reduce((a, b) => a + b) / messages;
  const row = (name: string, { cpuMicros, bytes, memory }: Figures): string =>
    `| ${name} | ${cpuMicros.toFixed(2)} | ${bytes.toFixed(0)} | ${Math.max(0, Math.round(memory / 1024))} |`;
  console.log(`${clients} clients, ${messages} messages of ${plainBytes.toFixed(0)} bytes\n`);
  console.log('| | CPU, µs per delivery | bytes per message | kB of memory per client |\n| --- | --- | --- | --- |');
  console.log(row('one stream for all', shared));
  console.log(row('a stream for each', each));
  console.log(
    `\nCPU: 1 to ${(each.cpuMicros / shared.cpuMicros).toFixed(0)}; bytes: 1 to ${(each.bytes / shared.bytes).toFixed(2)}`,
  );
}

void main();
