import assert from 'node:assert/strict';
import { group, user } from '../../lib';
import { Cluster } from '../support/cluster';
import { Stream } from '../support/stream';

describe('people in an app of two workers', () => {
  let cluster: Cluster;
  const open: Stream[] = [];

  before(async () => {
    cluster = await Cluster.start({ workers: 2, plugins: { people: 'people' }, config: { sse: { retry: 10 } } });
  });

  after(async () => {
    for (const stream of open) stream.close();
    await cluster?.stop();
  });

  const ask = async (path: string, query: Record<string, string | readonly string[]>): Promise<Response> => {
    const params = new URLSearchParams();
    for (const [name, values] of Object.entries(query)) {
      for (const value of [values].flat()) params.append(name, value);
    }
    const url = `${cluster.url}${path}?${String(params)}`;
    const response = await fetch(url, { headers: { Connection: 'close' } });
    assert.equal(response.status, 200, await response.clone().text());
    return response;
  };

  /** A cookie of somebody's session. */
  const login = async (name: string): Promise<string> => {
    const response = await ask('/login', { name });
    return response.headers
      .getSetCookie()
      .map((cookie) => cookie.split(';')[0])
      .join('; ');
  };

  /** A stream of somebody on each worker. */
  const listen = async (name: string | undefined, query = '', headers = {}): Promise<Stream[]> => {
    const cookie = name === undefined ? '' : await login(name);
    const streams: Stream[] = [];
    for (const { url } of await cluster.allWorkers()) {
      const stream = await Stream.open(`${url}/stream${query}`, { headers: { Cookie: cookie, ...headers } });
      streams.push(await stream.until(({ events, status }) => events.length > 0 || status !== 200));
    }
    open.push(...streams);
    return streams;
  };

  const tell = (key: string | readonly string[], data: string): Promise<Response> => ask('/say', { key, data });

  const arrives = (streams: readonly Stream[], text: string): Promise<unknown> =>
    Promise.all(streams.map((stream) => stream.until(({ data }) => data.includes(text))));

  it('hear exactly what is theirs, whoever they are by their session, on every worker', async () => {
    cluster.write('people', JSON.stringify({ ann: { groups: ['eng/web'] }, bob: { groups: ['eng'] } }));
    const [ann, bob] = [await listen('ann'), await listen('bob')];
    const guests = await listen(undefined, '?connectKey=public&connectKey=secret');
    await tell(user('ann'), 'to ann');
    await tell(group('eng/web'), 'to the web team');
    await tell(group('eng'), 'to all engineers');
    await tell(['@authenticated', user('bob'), group('eng')], 'to all who are logged in');
    await tell('@anonymous', 'to guests');
    await tell('secret', 'to nobody');
    await tell(['@authenticated', 'public'], 'end');
    await arrives([...ann, ...bob, ...guests], 'end');
    for (const { data } of ann) {
      assert.deepEqual(data, ['to ann', 'to the web team', 'to all engineers', 'to all who are logged in', 'end']);
    }
    for (const { data } of bob) assert.deepEqual(data, ['to all engineers', 'to all who are logged in', 'end']);
    for (const { data } of guests) assert.deepEqual(data, ['to guests', 'end']);
  });

  it('who are not welcome are refused with what the app says, before a byte of the stream', async () => {
    cluster.write('people', '{}');
    for (const stream of await listen('eve')) {
      await stream.untilEnd();
      assert.equal(stream.status, 403);
      assert.deepEqual(JSON.parse(stream.text), { code: 'ERR_SSE_REFUSED', message: 'eve is not welcome' });
    }
  });

  it('are disconnected on all workers, told why, and nobody else is', async () => {
    cluster.write('people', JSON.stringify({ ann: {}, bob: {} }));
    const [ann, bob] = [await listen('ann'), await listen('bob')];
    await ask('/disconnect', { key: user('ann'), reason: 'logged out' });
    for (const stream of ann) {
      await stream.untilEnd();
      assert.deepEqual(JSON.parse(stream.own('bye')[0]!.data), { reason: 'logged out' });
    }
    await tell(user('bob'), 'still there');
    await arrives(bob, 'still there');
  });

  it('lose and gain keys while their stream goes on, and are told', async () => {
    cluster.write('people', JSON.stringify({ ann: { keys: ['a', 'b'], groups: ['old'] } }));
    const streams = await listen('ann', '?connectKey=a&connectKey=b');
    await tell('c', 'too early');
    cluster.write('people', JSON.stringify({ ann: { keys: ['a', 'c'], groups: ['new'] } }));
    await ask('/reauthorize', { key: user('ann') });
    for (const stream of streams) {
      await stream.until(() => stream.own('grant').length === 1);
      assert.deepEqual(JSON.parse(stream.own('grant')[0]!.data), { keys: ['a', 'c'], user: 'ann', groups: ['new'] });
    }
    await tell('b', 'no longer');
    await tell(group('old'), 'no longer');
    await tell('c', 'from now on');
    await tell(group('new'), 'from now on, too');
    await tell('a', 'end');
    await arrives(streams, 'end');
    for (const { data, ended } of streams) {
      assert.deepEqual(data, ['from now on', 'from now on, too', 'end']);
      assert.equal(ended, false);
    }

    // What is no longer granted is not replayed either.
    const [first] = streams;
    first!.close();
    await tell('b', 'while away');
    await tell('c', 'while away, theirs');
    const back = await listen('ann', '?connectKey=b', { 'Last-Event-ID': first!.lastEventId });
    await arrives(back, 'while away, theirs');
    for (const { data } of back) assert.deepEqual(data, ['while away, theirs']);
  });

  it('who are refused when asked again have their stream ended', async () => {
    cluster.write('people', JSON.stringify({ ann: {}, bob: {} }));
    const [ann, bob] = [await listen('ann'), await listen('bob')];
    cluster.write('people', JSON.stringify({ bob: {} }));
    await ask('/reauthorize', { key: '@authenticated' });
    for (const stream of ann) {
      await stream.untilEnd();
      assert.deepEqual(JSON.parse(stream.own('bye')[0]!.data), { reason: 'ann is not welcome' });
    }
    for (const stream of bob) {
      await stream.until(() => stream.own('grant').length === 1);
      assert.equal(stream.ended, false);
    }
  });
});
