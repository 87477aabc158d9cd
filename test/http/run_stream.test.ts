import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { EventSource } from 'eventsource';
import OpenAI from 'openai';
import type { SseEvent } from '../../lib';
import { eventually } from '../support/eventually';
import { hubServers, type HubServer } from '../support/hub';
import { Stream } from '../support/stream';

const open = ({ url }: HubServer, id: string, lastEventId?: string): Promise<Stream> =>
  Stream.open(`${url}?id=${id}`, { headers: lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId } });

async function* chunks(words: readonly string[]): AsyncGenerator<SseEvent> {
  for (const content of words) yield { data: { choices: [{ index: 0, delta: { content } }] } };
  yield { data: '[DONE]' };
}

/** A generator that goes on when it is told. */
function gate(): { passed: Promise<void>; open: () => void } {
  let pass: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => (pass = resolve));
  return { passed, open: () => pass() };
}

describe('the stream of a run alone', () => {
  const startHub = hubServers();
  /** A server that opens the run that the query `id` names. */
  const start = (options: object = {}): Promise<HubServer> =>
    startHub((hub, request, response) => {
      const query = new URL(request.url!, 'http://localhost').searchParams;
      hub.open(request, response, { run: query.get('id') ?? '' });
    }, options);
  /** Starts the run 1, which yields a, and b when it is told to go on by what this returns. */
  async function startGated({ hub }: Awaited<ReturnType<typeof start>>): Promise<() => void> {
    const { passed, open: go } = gate();
    await hub.run('1', async function* () {
      yield 'a';
      await passed;
      yield 'b';
    });
    return go;
  }

  it('has nothing but the run, and ends with it, live and later', async () => {
    const server = await start();
    const go = await startGated(server);
    const live = await open(server, '1');
    await live.untilMessages(1);
    await server.hub.publishAll('for all');
    go();
    await live.untilEnd();
    const late = await open(server, '1');
    await late.untilEnd();
    assert.deepEqual([live.data, late.data], [['a', 'b'], ['ab']]);
    for (const { events } of [live, late]) assert.ok(events.every(({ event }) => event === undefined));
    assert.equal(late.headers['content-type'], 'text/event-stream');
    await eventually(() => server.hub.countAll() === 0);
  });

  it('goes on from where its client was, and is answered 204 when it has had all', async () => {
    const server = await start();
    const go = await startGated(server);
    const first = await open(server, '1');
    await first.untilMessages(1);
    first.close();
    go();
    const second = await open(server, '1', first.lastEventId);
    await second.untilEnd();
    assert.deepEqual(second.data, ['b']);
    const third = await open(server, '1', second.lastEventId);
    await third.untilEnd();
    assert.deepEqual([third.status, third.text], [204, '']);
  });

  it('is read by an EventSource, which stops for good when it is over', async () => {
    const server = await start();
    await server.hub.run('1', async function* () {
      yield 'a';
      yield { event: 'x', data: 'b' };
    });
    const source = new EventSource(`${server.url}?id=1`);
    const data: string[] = [];
    for (const name of ['message', 'x']) source.addEventListener(name, (event) => data.push(String(event.data)));
    await eventually(() => source.readyState === EventSource.CLOSED);
    assert.deepEqual(data, ['a', 'b']);
  });

  it("is read by OpenAI's client, also in the middle, and by curl", async () => {
    const server = await start();
    const words = ['The ', 'egg', ' came ', 'first.'];
    await server.hub.run('1', () => chunks(words));
    const client = new OpenAI({ baseURL: server.url, apiKey: 'none', maxRetries: 0, defaultQuery: { id: '1' } });
    const answer = await client.chat.completions.create({ model: 'm', messages: [], stream: true });
    let text = '';
    for await (const chunk of answer) text += chunk.choices[0]!.delta.content;
    assert.equal(text, words.join(''));
    const { stdout } = await promisify(execFile)('curl', ['-sN', `${server.url}?id=1`]);
    assert.match(stdout, /^data: \{"choices".*\nid: .+\n\n/);
    assert.match(stdout, /data: \[DONE\]\nid: .+\n\n$/);
  });

  it("tells OpenAI's client when the run fails, and when it ends early", async () => {
    const server = await start();
    const { passed, open: go } = gate();
    await server.hub.run('fails', async function* () {
      yield { data: { choices: [] } };
      throw new Error('secret');
    });
    await server.hub.run('goes on', async function* () {
      yield { data: { choices: [] } };
      await passed;
    });
    for (const [id, text] of [
      ['fails', /something failed on the server/],
      ['goes on', /this stream ended early/],
    ] as const) {
      const client = new OpenAI({ baseURL: server.url, apiKey: 'none', maxRetries: 0, defaultQuery: { id } });
      const answer = await client.chat.completions.create({ model: 'm', messages: [], stream: true });
      await assert.rejects(async () => {
        for await (const _ of answer) if (id === 'goes on') server.hub.closeAll();
      }, text);
    }
    go();
  });

  it('ends when the run is stopped', async () => {
    const server = await start();
    await server.hub.run('1', async function* () {
      yield 'a';
      await new Promise(() => undefined);
    });
    const stream = await open(server, '1');
    await stream.untilMessages(1);
    await server.hub.stopRun('1');
    await stream.untilEnd();
    assert.deepEqual(stream.data, ['a']);
  });

  it('is refused for a run that nobody knows, and for who may not have it', async () => {
    const server = await start({ authorize: () => ({ keys: ['run:hers'] }) });
    for (const id of ['hers', 'his']) await server.hub.run(id, () => chunks([]));
    const answer = async (id: string): Promise<[number, string]> => {
      const response = await fetch(`${server.url}?id=${id}`);
      const text = await response.text();
      return [response.status, response.ok ? text.slice(0, 5) : (JSON.parse(text) as { code: string }).code];
    };
    assert.deepEqual(await answer('hers'), [200, 'data:']);
    assert.deepEqual(await answer('his'), [403, 'ERR_SSE_REFUSED']);
    const open = await start();
    const response = await fetch(`${open.url}?id=nobody`);
    assert.deepEqual(
      [response.status, await response.json()],
      [404, { code: 'ERR_SSE_RUN_UNKNOWN', message: 'there is no run "nobody", or its lifetime is over' }],
    );
  });

  it('ends with the right of its client', async () => {
    let keys = ['run:1'];
    const server = await start({ authorize: () => ({ keys, user: 'ann' }) });
    await server.hub.run('1', async function* () {
      yield 'a';
      await new Promise(() => undefined);
    });
    const stream = await open(server, '1');
    await stream.untilMessages(1);
    await server.hub.reauthorize('run:1');
    keys = [];
    await server.hub.reauthorize('run:1');
    await stream.untilEnd();
    assert.equal(stream.own('bye').length, 1);
    assert.equal(stream.own('grant').length, 0);
  });

  it('is not opened with other keys', async () => {
    let refusal: unknown;
    const { url } = await startHub((hub, request, response) => {
      try {
        hub.open(request, response, { run: '1', keys: ['a'] });
      } catch (error) {
        refusal = error;
        response.end();
      }
    });
    await fetch(url);
    assert.equal((refusal as { code: string }).code, 'ERR_SSE_OPTIONS');
  });
});
