import { spawn } from 'node:child_process';
import type { KeeperNews } from './redis';

// Runs a redis-server that lasts as long as whoever has started this, however that ends. It writes nothing to the disk.
const [port = ''] = process.argv.slice(2);
const redis = spawn('redis-server', ['--port', port, '--bind', '127.0.0.1', '--save', ''], {
  stdio: ['ignore', 'pipe', 'inherit'],
});

let printed = '';
let isReady = false;
redis.stdout.setEncoding('utf8').on('data', (text: string) => {
  if (isReady) return;
  printed += text;
  isReady = printed.includes('Ready to accept connections');
  if (isReady) tell('ready');
});

redis.once('error', ({ code, message }: NodeJS.ErrnoException) => {
  tell(code === 'ENOENT' ? 'missing' : { failed: message });
});
redis.once('close', () => {
  if (!isReady) tell({ failed: printed.trim() });
  process.exitCode = 1;
  if (process.connected) process.disconnect();
});
process.once('disconnect', () => redis.kill());

function tell(news: KeeperNews): void {
  if (process.connected) process.send!(news);
}
