// What an app's own requests wait for during a fan-out: `node --import tsx bench/delay.ts [clients]`.
// One message per turn of the event loop goes to all clients while a small request is asked for again and again. On a busy
// machine look at the CPU time of the turns: it is what a request waits for where nothing else runs.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createHub } from '../lib';

const REQUESTS = 300;

/** Clients that read everything and look at nothing. */
async function runClients(port: number, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write('GET /stream?connectKey=a HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
    socket.resume();
  }
  process.send!('ready');
}

/** Tells, whenever asked, the ms that each of some requests took, one after the other. */
function runRequests(port: number): void {
  process.on('message', async () => {
    const times: number[] = [];
    while (times.length < REQUESTS) {
      const began = performance.now();
      const [response] = (await once(get({ port, path: '/own' }), 'response')) as [NodeJS.ReadableStream];
      await once(response.resume(), 'end');
      times.push(performance.now() - began);
    }
    process.send!(times.sort((a, b) => a - b));
  });
}

async function main(clients: number): Promise<void> {
  const hub = createHub({ maxClients: clients });
  const server = createServer((request, response) => {
    if (request.url === '/own') response.end('{}');
    else void hub.serve(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const start = (role: string): ChildProcess =>
    fork(__filename, [String((server.address() as AddressInfo).port), String(clients), role]);
  const [readers, asker] = [start('clients'), start('requests')];
  await once(readers, 'message');
  const ask = async (what: string): Promise<void> => {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    asker.send('ask');
    const [times] = (await once(asker, 'message')) as [number[]];
    const at = (share: number): string => times[Math.floor(share * (times.length - 1))]!.toFixed(1);
    console.log(
      `${what}: own requests p50 ${at(0.5)} ms, p99 ${at(0.99)} ms; event-loop delay p99 ${(delay.percentile(99) / 1e6).toFixed(1)} ms, max ${(delay.max / 1e6).toFixed(1)} ms`,
    );
  };
  await ask(`${clients} clients, idle`);
  let isOn = true;
  const turns: number[] = [];
  let since = process.cpuUsage();
  const publish = (i: number): void => {
    const { user, system } = process.cpuUsage(since);
    turns.push((user + system) / 1_000);
    since = process.cpuUsage();
    void hub.publish('a', `${i} ${'x'.repeat(180)}`);
    if (isOn) setImmediate(publish, i + 1);
  };
  publish(0);
  await ask(`${clients} clients, a message per turn`);
  isOn = false;
  turns.sort((a, b) => a - b);
  const [p50, p99, max] = [0.5, 0.99, 1].map((share) => turns[Math.floor(share * (turns.length - 1))]!.toFixed(1));
  console.log(`CPU of ${turns.length} turns: p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`);
  readers.kill();
  asker.kill();
  process.exit(0);
}

const [first, clients, role] = process.argv.slice(2);
if (role === 'clients') void runClients(Number(first), Number(clients));
else if (role === 'requests') runRequests(Number(first));
else void main(Number(first ?? 10_000));
