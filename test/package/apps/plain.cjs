'use strict';

const { once } = require('node:events');
const { createServer } = require('node:http');
const { createHub } = require('egg-sse');

const { cache } = require;

const sse = createHub();
const server = createServer((request, response) => {
  if (request.url === '/words') void sse.open(request, response).pipe(['one', 'two']);
  else void sse.serve(request, response);
});

async function main() {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}`;
  const words = await (await fetch(`${url}/words`)).text();
  const stream = await fetch(`${url}/?connectKey=news`);
  await sse.publish('news', { event: 'created', data: { id: 7 } });
  const text = stream.text();
  await sse.stop();
  const events = [...(await text).matchAll(/^event: (.*)$/gm)].map(([, name]) => name);
  server.close();
  const egg = Object.keys(cache).some((file) => /node_modules[/\\]egg[/\\]/.test(file));
  console.log(JSON.stringify({ words, events, egg }));
}

main();
