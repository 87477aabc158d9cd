import assert from 'node:assert/strict';
import { anonymous, authenticated, group, user } from '../../lib';
import type { Grant } from '../../lib/access/authorizer';
import { eventually } from '../support/eventually';
import { plainServers, type PlainServer } from '../support/plain';
import { Stream } from '../support/stream';

const open = async (url: string, who = '', headers: Record<string, string> = {}): Promise<Stream> => {
  const stream = await Stream.open(url, { headers: { ...headers, 'X-Who': who } });
  return stream.until(({ events, status }) => events.length > 0 || status !== 200);
};

const hello = (stream: Stream): unknown => {
  const { keys, user: who, groups } = JSON.parse(stream.own('hello')[0]!.data) as Record<string, unknown>;
  return { keys, ...(who !== undefined && { user: who }), ...(groups !== undefined && { groups }) };
};

describe('authorization', () => {
  const start = plainServers();

  /** A server whose clients say by a header who they are. */
  async function startWith(
    grant: (who: string, asked: readonly string[]) => Grant | Promise<Grant>,
    options = {},
  ): Promise<PlainServer> {
    const server = await start(options);
    server.sse.authorize((ctx, { keys }) => {
      const { headers } = ctx as unknown as { headers: Record<string, string> };
      return grant(headers['x-who'] ?? '', keys);
    });
    return server;
  }

  describe('app.sse.authorize', () => {
    it('grants what is asked for, to nobody known, when there is none', async () => {
      const { url, sse } = await start();
      const stream = await open(`${url}?connectKey=a`);
      assert.deepEqual(hello(stream), { keys: ['a'] });
      assert.equal(sse.count(anonymous()), 1);
      assert.equal(sse.count(authenticated()), 0);
      stream.close();
    });

    it('grants the keys that the app says, be they fewer or others than were asked for, and hello says which', async () => {
      const { url, sse } = await startWith((who, asked) => ({
        keys: who === 'narrow' ? asked.filter((key) => key === 'a') : ['own', 'own'],
      }));
      const narrowed = await open(`${url}?connectKey=a&connectKey=b`, 'narrow');
      const given = await open(`${url}?connectKey=a`, 'given');
      assert.deepEqual(hello(narrowed), { keys: ['a'] });
      assert.deepEqual(hello(given), { keys: ['own'] });
      await sse.publish('b', 'not theirs');
      await sse.publish(['a', 'own'], 'x');
      for (const stream of [narrowed, given]) {
        await stream.untilMessages(1);
        assert.deepEqual(stream.data, ['x']);
        stream.close();
      }
    });

    it('lets each hear what is for them: a user, a team and those around it, all who are logged in, all who are not', async () => {
      const { url, sse } = await startWith((who) =>
        who === '' ? {} : { user: who, groups: who === 'ann' ? ['eng/web'] : ['sales'] },
      );
      const [ann, bob, guest] = [await open(url, 'ann'), await open(url, 'bob'), await open(url)];
      assert.deepEqual(hello(ann), { keys: [], user: 'ann', groups: ['eng/web'] });
      await sse.publish(user('ann'), 'to ann');
      await sse.publish(group('eng'), 'to the engineers');
      await sse.publish(group('eng/web'), 'to the web team');
      await sse.publish([user('bob'), group('sales'), authenticated()], 'to bob, once');
      await sse.publish(anonymous(), 'to guests');
      await sse.publishAll('end');
      for (const stream of [ann, bob, guest]) await stream.until(({ data }) => data.includes('end'));
      assert.deepEqual(ann.data, ['to ann', 'to the engineers', 'to the web team', 'to bob, once', 'end']);
      assert.deepEqual(bob.data, ['to bob, once', 'end']);
      assert.deepEqual(guest.data, ['to guests', 'end']);
      for (const stream of [ann, bob, guest]) stream.close();
    });

    it("takes the app's own groups of groups, asks once per connection, and is not held by a cycle", async () => {
      const asked: string[] = [];
      const around: Record<string, string[]> = { a: ['b'], b: ['c', 'a'], c: ['a'] };
      const { url, sse } = await startWith(() => ({ user: 7, groups: ['a'] }), {
        groups: async (name: string) => {
          asked.push(name);
          return around[name]!;
        },
      });
      const stream = await open(url);
      for (const name of ['a', 'b', 'c']) assert.equal(sse.count(group(name)), 1);
      await Promise.all(Array.from({ length: 50 }, () => sse.publish(group('c'), 'x')));
      await stream.untilMessages(50);
      assert.deepEqual(asked, ['a', 'b', 'c']);
      assert.equal(sse.count(user(7)), 1);
      stream.close();
    });

    it('says in a header who a client is, to pages of other origins that may read it as well', async () => {
      const { url } = await startWith((who) => ({ user: who || null }), {
        cors: { origins: ['https://app.example'], credentials: true },
      });
      for (const [origin, exposed] of [
        ['https://app.example', 'Retry-After, Sse-User'],
        ['https://evil.example', undefined],
      ] as const) {
        for (const method of ['GET', 'HEAD']) {
          const stream = await Stream.open(url, { method, headers: { 'X-Who': '\u00e4nn/1', Origin: origin } });
          assert.equal(stream.headers['sse-user'], encodeURIComponent('\u00e4nn/1'));
          assert.equal(stream.headers['access-control-expose-headers'], exposed);
          stream.close();
        }
      }
      assert.equal((await Stream.open(url, { method: 'HEAD' })).headers['sse-user'], undefined);
    });

    it('refuses with the status, the text and the headers that are thrown, and opens nothing', async () => {
      const { url, sse, logged } = await startWith(() => {
        throw Object.assign(new Error('log in first'), { status: 401, headers: { 'WWW-Authenticate': 'Bearer' } });
      });
      const stream = await open(url);
      await stream.untilEnd();
      assert.equal(stream.status, 401);
      assert.equal(stream.headers['www-authenticate'], 'Bearer');
      assert.deepEqual(JSON.parse(stream.text), { code: 'ERR_SSE_REFUSED', message: 'log in first' });
      assert.equal(sse.countAll(), 0);
      assert.deepEqual(logged, []);
      const head = await Stream.open(url, { method: 'HEAD' });
      assert.equal(head.status, 401);
    });

    it('answers 500 that says nothing inside when it fails by itself, and logs what it was', async () => {
      const secret = (): never => {
        throw new Error('password of the database');
      };
      const failing: readonly (() => unknown)[] = [
        secret,
        () => ({ keys: 'a' }),
        () => ({ keys: [''] }),
        () => ({ groups: [7] }),
        () => ({ user: {} }),
        () => ({ user: '' }),
        () => ({ expiresAt: 'tomorrow' }),
        () => undefined,
        () => Promise.reject(new Error('password')),
        () => {
          throw Object.assign(new Error('ok?'), { status: 200 });
        },
      ];
      for (const fail of failing) {
        const { url, logged } = await startWith(fail as () => Grant);
        const stream = await open(url);
        await stream.untilEnd();
        assert.equal(stream.status, 500);
        assert.deepEqual(JSON.parse(stream.text), {
          code: 'ERR_SSE_AUTHORIZE',
          message: 'it could not be found out what this client may hear',
        });
        assert.equal(logged.length, 1, fail.toString());
      }
    });

    it('says nothing inside of an error whose status is 5xx', async () => {
      const { url } = await startWith(() => {
        throw Object.assign(new Error('password'), { status: 503 });
      });
      const stream = await open(url);
      await stream.untilEnd();
      assert.equal(stream.status, 503);
      assert.doesNotMatch(stream.text, /password/);
    });

    it('is bounded in time', async () => {
      const { url, logged } = await startWith(() => new Promise(() => undefined), { authorizeTimeout: 50 });
      const stream = await open(url);
      await stream.untilEnd();
      assert.equal(stream.status, 503);
      assert.equal((JSON.parse(stream.text) as { code: string }).code, 'ERR_SSE_AUTHORIZE');
      assert.match(logged[0]!, /more than 50 ms/);
    });

    it('is not held by groups that never end', async () => {
      const { url, logged } = await startWith(() => ({ user: 'ann', groups: ['a'] }), {
        groups: (name: string) => [`${name}a`],
      });
      const stream = await open(url);
      await stream.untilEnd();
      assert.equal(stream.status, 500);
      assert.match(logged[0]!, /does not end/);
    });

    it('sends nothing before it has decided, and opens nothing when the client has left meanwhile', async () => {
      let decide = (_: Grant): void => undefined;
      const { url, sse } = await startWith(() => new Promise<Grant>((resolve) => (decide = resolve)));
      const leaving = new AbortController();
      const request = fetch(url, { signal: leaving.signal }).catch((error: Error) => error.name);
      const first = decide;
      await eventually(() => decide !== first, 'it was asked');
      leaving.abort();
      assert.equal(await request, 'AbortError');
      decide({});
      const staying = open(url);
      const second = decide;
      await eventually(() => decide !== second, 'it was asked again');
      assert.equal(sse.countAll(), 0);
      decide({});
      (await staying).close();
    });

    it('replays nothing from a key that is no longer granted', async () => {
      let keys = ['a', 'b'];
      const { url, sse } = await startWith(() => ({ keys }));
      const before = await open(url);
      before.close();
      await sse.publish('a', 'still');
      await sse.publish('b', 'no longer');
      keys = ['a'];
      const after = await open(url, '', { 'Last-Event-ID': before.lastEventId });
      await sse.publish('a', 'end');
      await after.until(({ data }) => data.includes('end'));
      assert.deepEqual(after.data, ['still', 'end']);
      after.close();
    });

    it('ends a stream when its grant ends, with bye', async () => {
      const { url } = await startWith(() => ({ expiresAt: new Date(Date.now() + 200) }), { maxAge: 1_000 });
      const stream = await open(url);
      await stream.untilEnd();
      assert.deepEqual(JSON.parse(stream.own('bye')[0]!.data), { reason: 'expired' });
    });

    it('refuses what has expired already', async () => {
      const { url } = await startWith(() => ({ expiresAt: Date.now() - 1 }));
      const stream = await open(url);
      await stream.untilEnd();
      assert.equal(stream.status, 401);
    });

    it("keeps the app's own data, and tells it with the stream's beginning and end", async () => {
      const { url, sse } = await startWith(() => ({ user: 'ann', data: { tenant: 1 } }));
      const seen: unknown[] = [];
      sse.on('open', ({ user: who, data }) => seen.push({ who, data }));
      sse.on('close', ({ user: who, data }) => seen.push({ who, data }));
      (await open(url)).close();
      await eventually(() => seen.length === 2);
      assert.deepEqual(seen, [
        { who: 'ann', data: { tenant: 1 } },
        { who: 'ann', data: { tenant: 1 } },
      ]);
    });

    it('is one function, given once', async () => {
      const { sse } = await start();
      assert.throws(() => sse.authorize('yes' as never), { code: 'ERR_SSE_AUTHORIZE' });
      sse.authorize(() => ({}));
      assert.throws(() => sse.authorize(() => ({})), { code: 'ERR_SSE_AUTHORIZE' });
    });
  });

  describe('the keys of people', () => {
    it('are refused when they name nobody', () => {
      for (const make of [user, group] as ((name: unknown) => string)[]) {
        for (const name of ['', undefined, null, {}, Number.NaN]) {
          assert.throws(() => make(name), { code: 'ERR_SSE_KEY' });
        }
      }
    });

    it('cannot be asked for in a URL', async () => {
      const { url } = await start();
      for (const key of [user('bob'), group('a'), authenticated(), anonymous()]) {
        const stream = await open(`${url}?connectKey=${encodeURIComponent(key)}`);
        assert.equal(stream.status, 400);
      }
    });
  });
});
