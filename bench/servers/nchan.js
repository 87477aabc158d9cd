'use strict';

// nchan on nginx: one worker on the servers' core, and this process, on the clients' core, which publishes to it by POST.
const { execFileSync, spawn } = require('node:child_process');
const { mkdirSync, writeFileSync } = require('node:fs');
const { connect } = require('node:net');
const { join } = require('node:path');
const { setTimeout: wait } = require('node:timers/promises');
const { control, PING_MS } = require('./control');

const port = Number(process.env.BENCH_PORT);
const dir = process.env.BENCH_DIR;
const [nchan] = JSON.parse(process.env.BENCH_NCHAN);

// As many POSTs may be under way: a pipeline, so that they stay in order and none waits for a round trip.
const PIPELINE = 8;

mkdirSync(join(dir, 'tmp'), { recursive: true });
writeFileSync(
  join(dir, 'nginx.conf'),
  `load_module ${nchan};
${process.getuid() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
pid ${join(dir, 'nginx.pid')};
error_log ${join(dir, 'error.log')} warn;
events { worker_connections 32768; }
http {
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path ${join(dir, 'tmp')};
  client_body_buffer_size 16k;
  nchan_shared_memory_size 256M;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /stream {
      nchan_subscriber eventsource;
      nchan_channel_id $arg_connectKey;
      nchan_subscriber_first_message newest;
      nchan_eventsource_ping_interval ${Math.ceil(PING_MS / 1000)};
    }
    location = /replay {
      nchan_subscriber eventsource;
      nchan_channel_id $arg_connectKey;
      nchan_subscriber_first_message oldest;
    }
    location = /publish {
      nchan_publisher;
      nchan_channel_id $arg_connectKey;
      nchan_message_buffer_length 1000;
      nchan_message_timeout 5m;
    }
  }
}
`,
);

const [command, ...args] = [...JSON.parse(process.env.BENCH_PIN), 'nginx', '-p', dir, '-c', join(dir, 'nginx.conf')];
const nginx = spawn(command, args, { stdio: 'inherit' });
nginx.once('exit', () => process.exit(1));
process.once('exit', () => nginx.kill('SIGTERM'));

let waiting = 0;
let onAnswer = () => undefined;
let publisher;

async function ready() {
  for (;;) {
    try {
      publisher = await new Promise((resolve, reject) => {
        const socket = connect(port, '127.0.0.1', () => resolve(socket));
        socket.once('error', reject);
      });
      break;
    } catch {
      await wait(20);
    }
  }
  let rest = '';
  publisher.setNoDelay(true).on('data', (bytes) => {
    const parts = (rest + bytes.toString('latin1')).split('HTTP/1.1 20');
    waiting -= parts.length - 1;
    // A status line may be split, and must be counted once.
    rest = parts.at(-1).slice(-10);
    onAnswer();
  });
}

/** The master listens before its worker is there. */
async function workerPid() {
  for (;;) {
    try {
      return Number(execFileSync('ps', ['-o', 'pid=', '--ppid', String(nginx.pid)], { encoding: 'utf8' }));
    } catch {
      await wait(20);
    }
  }
}

async function main() {
  await ready();
  control(port, {
    pid: await workerPid(),
    count: () => 0,
    send(key, data) {
      waiting++;
      publisher.write(
        `POST /publish?connectKey=${key} HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: ${data.length}\r\n\r\n${data}`,
      );
    },
    async settle() {
      while (waiting >= PIPELINE) await new Promise((resolve) => (onAnswer = resolve));
    },
  });
}

main();
