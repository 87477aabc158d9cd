import assert from 'node:assert/strict';
import { EventSource } from 'eventsource';
import OpenAI from 'openai';
import { eventually } from '../../support/eventually';
import { hubServers } from '../../support/hub';

describe('a client of its own kind', () => {
  const start = hubServers();

  const answer = async function* (): AsyncGenerator<object | string> {
    for (const content of ['Hel', 'lo', ' world']) yield { data: { choices: [{ index: 0, delta: { content } }] } };
  };

  it("OpenAI's reads a stream as the answer of a model", async () => {
    const { url, server } = await start(async (hub, request, response) => {
      if (request.url !== '/v1/chat/completions' || request.method !== 'POST') return;
      const stream = hub.open(request, response);
      await stream.pipe(answer() as AsyncGenerator<string>, { end: false });
      void stream.send('[DONE]');
      stream.close();
    });
    const client = new OpenAI({ baseURL: `${url}v1`, apiKey: 'none', maxRetries: 0 });
    const chunks = await client.chat.completions.create({ model: 'm', messages: [], stream: true });
    let text = '';
    for await (const chunk of chunks) text += chunk.choices[0]?.delta.content;
    assert.equal(text, 'Hello world');
    server.closeAllConnections();
  });

  it("OpenAI's throws when the model fails on the way, and when the server goes", async () => {
    const { hub, url } = await start(async (hub, request, response) => {
      const stream = hub.open(request, response);
      await stream.pipe(answer() as AsyncGenerator<string>, { end: false });
      if (request.url === '/fail/chat/completions') stream.fail(new Error('secret'));
    });
    for (const [path, text] of [
      ['fail', /something failed on the server/],
      ['stop', /this stream ended early: shutdown/],
    ] as const) {
      const client = new OpenAI({ baseURL: url + path, apiKey: 'none', maxRetries: 0 });
      const chunks = await client.chat.completions.create({ model: 'm', messages: [], stream: true });
      let read = 0;
      await assert.rejects(async () => {
        for await (const _ of chunks) if (++read === 3 && path === 'stop') void hub.stop();
      }, text);
      assert.equal(read, 3);
    }
  });

  it('EventSource comes back after the end, until it is closed or gets 204', async () => {
    let requests = 0;
    const { url } = await start((hub, request, response) => {
      if (++requests === 3) {
        response.writeHead(204).end();
        return;
      }
      void hub.open(request, response, { retry: 10 }).pipe(['a', { event: 'done' }]);
    });
    const source = new EventSource(url);
    const data: string[] = [];
    source.addEventListener('message', (event) => data.push(String(event.data)));
    await eventually(() => source.readyState === EventSource.CLOSED);
    assert.deepEqual([requests, data], [3, ['a', 'a']]);
  });
});
