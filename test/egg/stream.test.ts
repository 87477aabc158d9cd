import assert from 'node:assert/strict';
import { createParser } from 'eventsource-parser';
import OpenAI from 'openai';
import { Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { Stream } from '../support/stream';

interface Seen {
  readonly ran: number;
  readonly returned: number;
  readonly pulled: number;
  readonly destroyed: number;
  readonly clients: number;
}

describe('a controller that opens a stream', () => {
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start({
      plugins: { streams: 'streams' },
      config: { sse: { maxClients: 20 } },
    });
  });
  after(() => cluster.stop());

  const errors = (): string => cluster.log('common-error.log');
  const get = async <T = unknown>(path: string): Promise<T> => (await (await fetch(cluster.url + path)).json()) as T;
  const seen = (): Promise<Seen> => get<Seen>('/seen');
  const open = (path: string, headers: Record<string, string> = {}): Promise<Stream> =>
    Stream.open(cluster.url + path, { headers });
  const openAi = (): OpenAI => new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey: 'none', maxRetries: 0 });

  it("answers OpenAI's client as a model does", async () => {
    const chunks = await openAi().chat.completions.create({
      model: 'pretend',
      messages: [{ role: 'user', content: 'one two three' }],
      stream: true,
    });
    const words: unknown[] = [];
    for await (const chunk of chunks) words.push(chunk.choices[0]?.delta.content);
    assert.deepEqual(words, ['one', ' two', ' three']);
    await eventually(async () => (await seen()).clients === 0);
  });

  it('sends what it awaits, in order, with its own ids, and nothing else', async () => {
    const client = await (await open('/loop')).untilEnd();
    assert.equal(client.text, 'data: 0\nid: 0\n\ndata: 1\nid: 1\n\ndata: 2\nid: 2\n\n');
    assert.equal(client.headers['content-type'], 'text/event-stream');
  });

  it('joins it to keys, with hello, a first message, and its own headers', async () => {
    const client = await open('/events?key=a&first=state');
    await client.untilMessages(1);
    assert.equal(client.own('hello').length, 1);
    assert.equal(client.headers['x-controller'], 'yes');
    await get('/publish?key=a&data=live');
    await client.untilMessages(2);
    assert.deepEqual(client.data, ['state', 'live']);
    client.close();
  });

  it("stops its source when the client leaves, as OpenAI's does by abort", async () => {
    const { returned } = await seen();
    const chunks = await openAi().chat.completions.create(
      // What its types do not know goes through.
      { model: 'pretend', messages: [{ role: 'user', content: 'one' }], stream: true, stuck: true } as never,
    );
    for await (const _ of chunks as unknown as AsyncIterable<unknown>) break;
    await eventually(async () => (await seen()).returned === returned + 1);
    await eventually(async () => (await seen()).clients === 0);
    assert.equal(errors(), '');
  });

  it('pulls no more from a Readable than a client takes, and destroys it when it leaves', async () => {
    const client = await open('/readable');
    client.pause();
    let before = -1;
    let now = 0;
    while (now !== before) {
      before = now;
      await new Promise((resolve) => setTimeout(resolve, 300));
      now = (await seen()).pulled;
    }
    assert.ok(now > 0 && now < 1_000, `${now} were pulled`);
    client.resume();
    await client.untilMessages(now + 50);
    client.close();
    await eventually(async () => (await seen()).destroyed === 1);
  });

  it('is refused by the authorizer, over maxClients and for a bad key as the stream endpoint is', async () => {
    for (const [path, headers, status, code] of [
      ['/events?key=a', { 'X-Name': 'mallory' }, 403, 'ERR_SSE_REFUSED'],
      ['/loop', { 'X-Name': 'mallory' }, 403, 'ERR_SSE_REFUSED'],
      ['/events?key=@all', {}, 400, 'ERR_SSE_KEY'],
    ] as const) {
      const response = await fetch(cluster.url + path, { headers });
      assert.equal(response.status, status);
      assert.equal(((await response.json()) as { code: string }).code, code);
    }
    const clients = await Promise.all(Array.from({ length: 20 }, () => open('/events')));
    assert.equal((await fetch(`${cluster.url}/loop`)).status, 503);
    for (const client of clients) client.close();
    await eventually(async () => (await seen()).clients === 0);
    assert.equal(errors(), '');
  });

  it('that throws ends it with sse:error, is logged, and answers nothing a second time', async () => {
    for (const query of ['', 'sent', 'key=a', 'key=a&sent']) {
      const client = await (await open(`/throws?${query}`)).untilEnd();
      assert.equal(client.status, 200);
      assert.ok(client.response.complete);
      assert.deepEqual(client.data, query.includes('sent') ? ['a'] : []);
      assert.match(client.own('error')[0]!.data, /"code":"ERR_SSE_SOURCE"/);
      assert.equal(client.events.at(-1)!.event, 'sse:error');
      assert.doesNotMatch(client.text, /something wrong/);
    }
    const told = await (await open('/throws?expose')).untilEnd();
    assert.match(told.own('error')[0]!.data, /no such chat/);
    await eventually(() => errors().match(/nodejs\.Error: the controller does something wrong/g)?.length === 4);
    assert.doesNotMatch(errors(), /ERR_HTTP_HEADERS_SENT/);
  });

  it('that finds its client gone has done nothing wrong', async () => {
    const { returned } = await seen();
    const before = errors();
    const client = await open('/awaits');
    await client.untilMessages(1);
    client.close();
    await eventually(async () => (await seen()).returned === returned + 1);
    // What it throws is handled before the next request is.
    await seen();
    assert.equal(errors(), before);
  });

  it('that makes a mistake gets it as its error', async () => {
    for (const [path, status, code] of [
      ['/wrong', 500, /ERR_SSE_OPTIONS|keyes/],
      ['/twice', 200, /ERR_SSE_OPEN/],
    ] as const) {
      const response = await fetch(cluster.url + path, { headers: { Accept: 'application/json' } });
      const text = await response.text();
      if (status === 200) assert.match(text, code);
      else assert.notEqual(response.status, 200);
    }
  });

  it('is not run again when its stream is authorized anew, of whatever method', async () => {
    const posted = new AbortController();
    const { ran } = await seen();
    const response = await fetch(`${cluster.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'X-Name': 'ann', 'Content-Type': 'application/json' },
      body: JSON.stringify({ messages: [{ content: 'one' }], stuck: true }),
      signal: posted.signal,
    });
    const client = await open('/events?key=a', { 'X-Name': 'ann' });
    await get('/reauthorize?name=ann');
    await client.until((each) => each.own('grant').length === 1);
    assert.equal((await seen()).clients, 2);
    await get('/reauthorize?name=ann&closed');
    await client.untilEnd();
    const byes: string[] = [];
    createParser({ onEvent: ({ event, data }) => event === 'sse:bye' && byes.push(data) }).feed(await response.text());
    assert.match(byes[0]!, /"reason":"not you"/);
    assert.deepEqual([(await seen()).ran, (await seen()).clients], [ran + 2, 0]);
    await get('/reauthorize?name=ann');
  });
});

describe("Egg's CSRF check", () => {
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start({
      plugins: { streams: 'streams' },
      config: { security: { csrf: { enable: true } } },
    });
  });
  after(() => cluster.stop());

  it('asks a POST for a token before its controller opens a stream, and not again', async () => {
    const post = (headers: Record<string, string> = {}, more: object = {}): Promise<Response> =>
      fetch(`${cluster.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'X-Name': 'ann', ...headers },
        body: JSON.stringify({ messages: [{ content: 'one' }], ...more }),
      });
    assert.equal((await post()).status, 403);
    const response = await fetch(`${cluster.url}/token`);
    const { token } = (await response.json()) as { token: string };
    const cookie = response.headers
      .getSetCookie()
      .map((text) => text.split(';')[0])
      .join('; ');
    const stream = await post({ cookie }, { _csrf: token, stuck: true });
    assert.equal(stream.status, 200);
    const client = await Stream.open(`${cluster.url}/events?key=a`, { headers: { 'X-Name': 'ann' } });
    await fetch(`${cluster.url}/reauthorize?name=ann`);
    await client.until((each) => each.own('grant').length === 1);
    await fetch(`${cluster.url}/reauthorize?name=ann&closed`);
    await client.untilEnd();
    // Had it been refused before, it would say something else.
    assert.match(await stream.text(), /"reason":"not you"/);
  });
});

describe('a stream of a controller at shutdown', () => {
  it('is told, ends in order, and its source is stopped', async () => {
    const cluster = await Cluster.start({ plugins: { streams: 'streams' } });
    const client = await Stream.open(`${cluster.url}/awaits`);
    await client.untilMessages(1);
    const ms = await cluster.stop();
    await client.untilEnd();
    assert.ok(client.response.complete, 'the stream was cut');
    assert.match(client.own('bye')[0]!.data, /^\{"reason":"shutdown"/);
    assert.ok(ms < 4_500, `it took ${ms} ms`);
  });
});
