import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { Cluster } from '../support/cluster';

const MAX_GZIPPED_BYTES = 5_000;

describe('client.js', () => {
  let cluster: Cluster;
  const get = (
    { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
    path = '/stream/client.js',
  ): Promise<Response> => fetch(cluster.url + path, { method, headers: { Connection: 'close', ...headers } });

  before(async () => {
    cluster = await Cluster.start();
  });

  after(() => cluster?.stop());

  it('is served as a module, and asked for anew each time', async () => {
    const response = await get();
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'text/javascript; charset=utf-8');
    assert.equal(response.headers.get('cache-control'), 'no-cache');
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
    assert.match(await response.text(), /export\s*\{\s*\w+ as connect\s*\}/);
  });

  it('answers 304 to who has it, and HEAD without a body', async () => {
    const etag = (await get()).headers.get('etag')!;
    const again = await get({ headers: { 'If-None-Match': `"x", W/${etag}` } });
    assert.deepEqual([again.status, await again.text(), again.headers.get('etag')], [304, '', etag]);
    assert.equal((await get({ headers: { 'If-None-Match': '"x"' } })).status, 200);
    const head = await get({ method: 'HEAD' });
    assert.deepEqual([head.status, await head.text()], [200, '']);
    assert.ok(Number(head.headers.get('content-length')) > 0);
  });

  it('is nothing but itself: other methods and paths are the app’s', async () => {
    assert.equal((await get({ method: 'POST' })).status, 404);
    assert.equal((await get({}, '/stream/client.mjs')).status, 404);
  });

  it(`has less than ${MAX_GZIPPED_BYTES} bytes, gzipped`, async () => {
    const { length } = gzipSync(Buffer.from(await (await get()).arrayBuffer()), { level: 9 });
    assert.ok(length < MAX_GZIPPED_BYTES, `it has ${length}`);
  });
});
