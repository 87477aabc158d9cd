import assert from 'node:assert/strict';
import { Cluster } from '../support/cluster';
import { Stream } from '../support/stream';

describe('an app whose streams are answered early', () => {
  let cluster: Cluster;

  before(async () => {
    cluster = await Cluster.start({ plugins: { early: 'early' }, config: { sse: { early: true, retry: 10 } } });
  });

  after(() => cluster?.stop());

  const open = (headers: Record<string, string>, query = ''): Promise<Stream> =>
    Stream.open(`${cluster.url}/stream${query}`, { headers });

  const get = async (path: string): Promise<{ visits: number }> =>
    (await (await fetch(`${cluster.url}${path}`)).json()) as { visits: number };

  it('runs none of its middlewares for a stream, but its authorizer, with a context', async () => {
    const { visits } = await get('/visits');
    const stream = await open({ 'X-User': 'ann' }, '?connectKey=a');
    await stream.until(({ events }) => events.length === 1);
    assert.deepEqual((JSON.parse(stream.events[0]!.data) as { user: string }).user, 'ann');
    await get('/publish?key=a&data=x');
    await stream.untilMessages(1);
    stream.close();
    const head = await Stream.open(`${cluster.url}/stream`, { method: 'HEAD', headers: { 'X-User': 'ann' } });
    assert.equal(head.status, 200);
    // The two that asked, and the one that published.
    assert.equal((await get('/visits')).visits, visits + 2);
  });

  it('has the session of a cookie', async () => {
    const login = await fetch(`${cluster.url}/login?name=bob`);
    const cookie = login.headers.getSetCookie().map((each) => each.split(';')[0]);
    const stream = await open({ Cookie: cookie.join('; ') });
    await stream.until(({ events }) => events.length === 1);
    assert.deepEqual((JSON.parse(stream.events[0]!.data) as { user: string }).user, 'bob');
    stream.close();
  });

  it('refuses whom its authorizer refuses, and answers 500 when that fails', async () => {
    assert.equal((await open({})).status, 403);
    assert.equal((await open({ 'X-User': 'nobody' })).status, 500);
  });

  it('authorizes an open stream again, by the request that opened it', async () => {
    const [ann, eve] = [await open({ 'X-User': 'ann' }, '?renewed'), await open({ 'X-User': 'eve' }, '?renewed')];
    await get('/ban?name=eve');
    await eve.untilEnd();
    assert.deepEqual(JSON.parse(eve.own('bye')[0]!.data), { reason: 'not you' });
    await ann.until((stream) => stream.own('grant').length === 1);
    ann.close();
  });

  it('answers everything else as ever', async () => {
    assert.deepEqual(await get('/stream/other'), { other: true });
    assert.equal((await fetch(`${cluster.url}/streams`)).status, 404);
    const posted = await fetch(`${cluster.url}/stream`, { method: 'POST' });
    assert.deepEqual([posted.status, posted.headers.get('allow')], [405, 'GET, HEAD']);
  });
});
