import assert from 'node:assert/strict';
import { Demo } from '../support/demo';

describe("the demo's API", () => {
  let demo: Demo;
  let token: string;

  before(async () => {
    demo = await Demo.start();
    const page = await fetch(demo.url);
    token = /csrfToken=([^;]+)/.exec(page.headers.get('set-cookie') ?? '')![1]!;
    await page.text();
  });

  after(() => demo?.kill());

  async function post(path: string, body: string, headers: Record<string, string> = {}) {
    const response = await fetch(new URL(path, demo.url), {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        'x-csrf-token': token,
        Cookie: `csrfToken=${token}`,
        ...headers,
      },
      body,
    });
    return { status: response.status, answer: (await response.json()) as Record<string, unknown> };
  }

  it('answers a message with its id and how far it goes', async () => {
    const { status, answer } = await post('/api/rooms/lobby/messages', '{"name":"Ann","text":"Hello"}');
    assert.equal(status, 201);
    assert.match(String(answer.id), /^[0-9a-z]{8}-\d+$/);
    assert.equal(answer.reach, 'everywhere');
  });

  it('answers a job with where to listen', async () => {
    const { status, answer } = await post('/api/jobs', '{}');
    assert.equal(status, 202);
    assert.match(String(answer.key), /^job:/);
    assert.match(String(answer.lastEventId), /^[0-9a-z]{8}-\d+$/);
    assert.equal(typeof answer.pid, 'number');
  });

  const long = 'x'.repeat(501);
  const refused: [string, number, RegExp, Parameters<typeof post>][] = [
    ['a room with a bad name', 400, /a room is named/, ['/api/rooms/A%20b/messages', '{"name":"Ann","text":"Hello"}']],
    ['a body that is no JSON', 400, /JSON/i, ['/api/rooms/lobby/messages', '{"name":']],
    [
      'a body of another type',
      415,
      /send JSON/,
      ['/api/rooms/lobby/messages', 'text', { 'Content-Type': 'text/plain' }],
    ],
    ['an array', 422, /name must be/, ['/api/rooms/lobby/messages', '["Ann","Hello"]']],
    ['a message without a name', 422, /name must be/, ['/api/rooms/lobby/messages', '{"text":"Hello"}']],
    ['a text of spaces', 422, /text must be/, ['/api/rooms/lobby/messages', '{"name":"Ann","text":"  "}']],
    ['a text that is a number', 422, /text must be/, ['/api/rooms/lobby/messages', '{"name":"Ann","text":7}']],
    ['a text that is too long', 422, /501 .* 500/, ['/api/rooms/lobby/messages', `{"name":"Ann","text":"${long}"}`]],
    ['a body of 20 kB', 413, /too large/, ['/api/rooms/lobby/messages', `{"text":"${'x'.repeat(20_000)}"}`]],
    [
      'to kill a process that is none of its workers',
      404,
      /no worker/,
      ['/api/workers/kill', `{"pid":${process.pid}}`],
    ],
    ['to kill a process group', 404, /no worker/, ['/api/workers/kill', '{"pid":-1}']],
    ['to kill what is no pid', 422, /pid must be/, ['/api/workers/kill', '{"pid":"all"}']],
    ['a login of somebody unknown', 422, /name must be one of ann, bob/, ['/api/login', '{"name":"eve"}']],
    ['a login that is no text', 422, /name must be one of/, ['/api/login', '{"name":["ann"]}']],
    [
      'a note to somebody unknown',
      422,
      /to must be one of ann, bob, team/,
      ['/api/notes', '{"to":"@all","text":"Hi"}'],
    ],
    ['a note without a text', 422, /text must be/, ['/api/notes', '{"to":"ann"}']],
    ['a login without the CSRF token', 403, /csrf/, ['/api/login', '{"name":"ann"}', { 'x-csrf-token': '' }]],
    ['to kill without the CSRF token', 403, /csrf/, ['/api/workers/kill', '{"pid":1}', { 'x-csrf-token': '' }]],
    ['a job without the CSRF token', 403, /csrf/, ['/api/jobs', '{}', { 'x-csrf-token': '' }]],
  ];
  for (const [what, status, message, request] of refused) {
    it(`refuses ${what} with ${status} and a text that says why`, async () => {
      const refusal = await post(...request);
      assert.equal(refusal.status, status);
      assert.match(String(refusal.answer.message), message);
    });
  }
});
