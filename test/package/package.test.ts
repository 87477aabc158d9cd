import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Audience, CAUSES_PLUGIN, ROWS } from '../support/causes';
import { Cluster, type ClusterOptions } from '../support/cluster';
import { RedisServer } from '../support/redis_server';
import { Stream as SupportStream } from '../support/stream';
import { run } from './command';
import { Stream } from './stream';
import { pack, type Tarball } from './tarball';

const root = join(__dirname, '../..');
const apps = join(__dirname, 'apps');
const bin = (name: string): string => join(root, 'node_modules/.bin', name);

// A safety net only: installing takes a minute.
const INSTALL_MS = 900_000;

// Egg kills a worker that has not ended by then.
const EGG_CLOSE_TIMEOUT_MS = 5_000;

/** One app in each language; what differs is the Egg it runs in and the kind of its modules. */
const APPS: readonly App[] = [
  { what: 'an Egg 3 app in JavaScript', egg: '3.34.0', sources: 'javascript', type: 'commonjs' },
  {
    what: 'an Egg 3 app in TypeScript',
    egg: '3.34.0',
    sources: 'typescript',
    type: 'commonjs',
    // What Egg 3's own tsconfig says, where a package's `exports` mean nothing.
    tsc: ['--module', 'CommonJS', '--moduleResolution', 'Node10'],
  },
  { what: 'an Egg 4 app of CommonJS modules in JavaScript', egg: '4.0.10', sources: 'javascript', type: 'commonjs' },
  { what: 'an Egg 4 app of CommonJS modules in TypeScript', egg: '4.0.10', sources: 'typescript', type: 'commonjs' },
  { what: 'an Egg 4 app of ES modules in TypeScript', egg: '4.0.10', sources: 'typescript', type: 'module' },
];

/** The plugin that gives an app Redis clients, by Egg's version. */
const REDIS_PLUGINS: Readonly<Record<string, readonly [name: string, version: string]>> = {
  '3.34.0': ['egg-redis', '2.6.1'],
  '4.0.10': ['@eggjs/redis', '3.1.0'],
};

interface App {
  readonly what: string;
  /** Its version. */
  readonly egg: string;
  /** A folder of `apps/`. */
  readonly sources: 'javascript' | 'typescript';
  /** Of its package.json. */
  readonly type: 'commonjs' | 'module';
  /** Options of the compiler besides its tsconfig.json. */
  readonly tsc?: readonly string[];
}

describe('the package that npm publishes', () => {
  // Ends, by their ids, the processes that a failed test has left.
  const over = new AbortController();
  const { signal } = over;
  let dir: string;
  let tarball: Tarball;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'egg-sse-package-'));
    const packing = join(dir, 'pack');
    await mkdir(packing);
    tarball = await pack(packing, signal);
  });

  after(async () => {
    over.abort();
    await rm(dir, { recursive: true, force: true, maxRetries: 20 });
  });

  it('holds what Egg loads and what an app imports, with types', () => {
    for (const file of [
      'package.json',
      'app.js',
      'app/extend/context.js',
      'app/middleware/sse.js',
      'app/middleware/sse_door.js',
      'config/config.default.js',
      'lib/index.js',
      'lib/index.d.ts',
      'lib/index.mjs',
      'lib/index.d.mts',
      'lib/client/client.mjs',
      'lib/client/index.d.mts',
    ]) {
      assert.ok(tarball.files.has(file), `${file} is missing`);
    }
  });

  it('holds everything that is built from the sources, the texts, and nothing else but types', () => {
    const built = [...tarball.sources]
      .filter((path) => /^(app|agent|app\/.*|config\/.*|lib\/.*)\.m?ts$/.test(path))
      // The browser client is one file.
      .filter((path) => !path.startsWith('lib/client/'))
      .map((path) => path.replace(/ts$/, 'js'));
    const scripts = [...tarball.sources].filter((path) => /^lib\/.*\.lua$/.test(path));
    const texts = ['README.md', 'LICENSE', 'CHANGELOG.md'].filter((name) => tarball.sources.has(name));
    assert.deepEqual(
      new Set([...tarball.files].filter((path) => !isDeclaration(path))),
      new Set([...built, ...scripts, 'lib/client/client.mjs', ...texts, 'package.json']),
    );
  });

  // In an app that runs from TypeScript, Egg would take them for the plugin, and cannot run them in node_modules.
  it('holds no TypeScript but declarations', () => {
    assert.deepEqual(
      [...tarball.files].filter((path) => /\.m?ts$/.test(path) && !isDeclaration(path)),
      [],
    );
  });

  it('leaves nothing that was built in the tree it was packed from', () => {
    assert.deepEqual(tarball.sourcesAfter, tarball.sources);
  });

  it('is well formed for every kind of import (publint)', async () => {
    await run(bin('publint'), ['run', '--strict', tarball.path], { cwd: dir, signal });
  });

  it('has types that every kind of module resolution finds, and that are right (attw)', async () => {
    const attw = (...args: string[]): Promise<string> =>
      run(bin('attw'), ['--no-definitely-typed', ...args, tarball.path], { cwd: dir, signal });
    await attw('--exclude-entrypoints', './client', '--');
    // For browsers: nobody requires it.
    await attw('--entrypoints', './client', '--profile', 'esm-only', '--');
  });

  describe('installed', () => {
    before(async function () {
      this.timeout(INSTALL_MS);
      const versions = new Set(APPS.map(({ egg }) => egg));
      await Promise.all([...versions].map((egg) => install(egg)));
    });

    for (const app of APPS) describeApp(app);

    for (const file of ['plain.cjs', 'plain.mjs']) {
      it(`makes a hub for a server of node:http, without loading Egg (${file})`, async () => {
        const printed = await run(process.execPath, [file], { cwd: home(APPS[0]!.egg), signal });
        assert.deepEqual(JSON.parse(printed), {
          words: 'data: one\n\ndata: two\n\n',
          events: ['sse:hello', 'created', 'sse:bye'],
          egg: false,
        });
      });
    }
  });

  function home(egg: string): string {
    return join(dir, `egg-${egg}`);
  }

  async function install(egg: string): Promise<void> {
    const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
      devDependencies: Record<string, string>;
    };
    const [redis, version] = REDIS_PLUGINS[egg]!;
    const dependencies = {
      egg,
      'egg-sse': `file:${tarball.path}`,
      '@types/node': devDependencies['@types/node'],
      [redis]: version,
    };
    await mkdir(home(egg));
    for (const file of ['start.cjs', 'start.mjs', 'plain.cjs', 'plain.mjs'])
      await cp(join(apps, file), join(home(egg), file));
    await writeFile(join(home(egg), 'package.json'), JSON.stringify({ name: 'apps', private: true, dependencies }));
    await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline'], { cwd: home(egg), signal });
  }

  function describeApp({ what, egg, sources, type, tsc = [] }: App): void {
    describe(`in ${what}`, () => {
      let appDir: string;
      let cluster: Cluster;

      const startApp = (options: ClusterOptions): Promise<Cluster> =>
        Cluster.start({
          app: appDir,
          main: join(home(egg), type === 'module' ? 'start.mjs' : 'start.cjs'),
          ...options,
        });
      const open = (query: string): Promise<Stream> => Stream.open(`${cluster.url}/stream?${query}`, signal);
      // A connection that is kept could be one that the server is about to drop.
      const call = (path: string, method = 'GET'): Promise<Response> =>
        fetch(cluster.url + path, { method, headers: { Connection: 'close' }, signal });

      before(async () => {
        appDir = join(home(egg), `${sources}-${type}`);
        await cp(join(apps, sources), appDir, { recursive: true });
        await writeFile(join(appDir, 'package.json'), JSON.stringify({ name: 'app', private: true, type }));
        if (sources === 'typescript') {
          // Its types.ts holds what must be refused, so this is a test of the types as well.
          await run(bin('tsc'), ['-p', 'tsconfig.json', ...tsc], { cwd: appDir, signal });
        }
        cluster = await startApp({ workers: 2, plugins: CAUSES_PLUGIN });
      });

      after(() => cluster?.stop());

      it('says hello first, then brings what a controller publishes', async () => {
        const stream = await open('connectKey=news');
        assert.equal((await stream.next())?.event, 'sse:hello');

        const receipt = (await (await call('/publish')).json()) as { id: string; reach: string };
        assert.equal(receipt.reach, 'everywhere');
        assert.deepEqual(await stream.next(), { event: 'created', data: '{"id":7}', id: receipt.id });
        await stream.close();
      });

      it("opens the stream after the app's own middlewares, whose headers and cookies go out with it", async () => {
        const stream = await open('connectKey=news');
        assert.equal(stream.status, 200);
        assert.equal(stream.headers.get('content-type'), 'text/event-stream');
        assert.equal(stream.headers.get('x-visit'), 'seen');
        assert.ok(stream.headers.getSetCookie().some((cookie) => cookie.startsWith('visit=seen')));
        await stream.close();
      });

      it("answers 405 with Allow to a POST, which Egg's CSRF check does not get to see", async () => {
        const unprotected = await call('/publish', 'POST');
        assert.equal(unprotected.status, 403, 'the CSRF check is not on');
        await unprotected.text();

        const refused = await call('/stream', 'POST');
        assert.equal(refused.status, 405);
        assert.equal(refused.headers.get('allow'), 'GET, HEAD');
        assert.equal(((await refused.json()) as { code: string }).code, 'ERR_SSE_METHOD');
      });

      it('serves the browser client', async () => {
        const response = await call('/stream/client.js');
        assert.equal(response.status, 200);
        assert.equal(response.headers.get('content-type'), 'text/javascript; charset=utf-8');
        assert.match(await response.text(), /as connect/);
      });

      it('answers HEAD with the head of a stream and not a byte more', async () => {
        const socket = connect(cluster.port, '127.0.0.1');
        socket.setEncoding('latin1');
        let answer = '';
        socket.on('data', (text: string) => (answer += text));
        socket.write(`HEAD /stream HTTP/1.1\r\nHost: 127.0.0.1:${cluster.port}\r\nConnection: close\r\n\r\n`);
        await once(socket, 'end', { signal });
        socket.destroy();

        const [head = '', ...body] = answer.split('\r\n\r\n');
        assert.match(head, /^HTTP\/1\.1 200 /);
        assert.match(head, /^content-type: text\/event-stream$/im);
        assert.equal(body.join('\r\n\r\n'), '');
      });

      it('keeps a stream open when a middleware of the app throws behind it', async () => {
        const stream = await open('connectKey=late&connectKey=news&late');
        assert.equal((await stream.next())?.event, 'sse:hello');
        assert.equal((await stream.next())?.data, 'about to throw');

        await (await call('/publish')).text();
        assert.equal((await stream.next())?.event, 'created');
        await stream.close();
      });

      it('answers with the stream that a controller opens', async () => {
        const response = await call('/words');
        assert.equal(response.headers.get('content-type'), 'text/event-stream');
        assert.equal(await response.text(), 'data: one\n\nevent: two\ndata: 2\n\n');
      });

      it("refuses a mistake with the SseError that the app's own import gives", async () => {
        assert.deepEqual(await (await call('/mistake')).json(), { known: true, code: 'ERR_SSE_KEY' });
      });

      it('brings what the agent publishes, to every worker of the host', async () => {
        const stream = await open('connectKey=news');
        assert.equal((await stream.next())?.event, 'sse:hello');

        await (await call('/tell')).text();
        const told = await stream.next();
        assert.equal(told?.data, 'by the agent');
        const receipt = await stream.next();
        assert.deepEqual(JSON.parse(receipt!.data), { id: told.id, reach: 'host' });
        await stream.close();
      });

      describe('brings each client of 2 workers one copy, as far as the cause goes', () => {
        let audience: Audience;

        before(async () => {
          audience = await Audience.of(cluster);
        });
        after(() => audience.close());

        for (const row of ROWS) it(`of ${row.cause}: '${row.reach}'`, () => audience.hearsOnce(row));
      });

      it('asks the app who hears what, with its session, and again while a stream goes on', async () => {
        const people = await startApp({ workers: 2, plugins: { people: 'people' } });
        try {
          const get = (path: string): Promise<Response> =>
            fetch(people.url + path, { headers: { Connection: 'close' }, signal });
          const cookies = (await get('/login?name=ann')).headers.getSetCookie();
          const cookie = cookies.map((text) => text.split(';')[0]).join('; ');
          const openAs = (headers: Record<string, string>): Promise<SupportStream> =>
            SupportStream.open(`${people.url}/stream?connectKey=a`, { headers });

          people.write('people', JSON.stringify({ ann: { groups: ['eng/web'] } }));
          const [ann, guest] = [await openAs({ Cookie: cookie }), await openAs({})];
          for (const stream of [ann, guest]) await stream.until(({ events }) => events.length > 0);
          await get('/say?key=@user:ann&key=@group:eng&data=one');
          await get('/say?key=@anonymous&data=two');
          await ann.untilMessages(1);
          await guest.untilMessages(1);
          assert.deepEqual([ann.data, guest.data], [['one'], ['two']]);

          people.write('people', JSON.stringify({ ann: { keys: ['b'] } }));
          await get('/reauthorize?key=@user:ann');
          await ann.until(() => ann.own('grant').length === 1);
          await get('/say?key=a&key=@group:eng&data=no');
          await get('/say?key=b&data=three');
          await ann.untilMessages(2);
          assert.deepEqual(ann.data, ['one', 'three']);

          await get('/disconnect?key=@user:ann&reason=enough');
          await ann.untilEnd();
          assert.deepEqual(JSON.parse(ann.own('bye')[0]!.data), { reason: 'enough' });

          people.write('people', '{}');
          assert.equal((await openAs({ Cookie: cookie })).status, 403);
          guest.close();
        } finally {
          await people.stop();
        }
      });

      // It depends on the plugin of Redis clients, not on the app's language.
      if (sources === 'javascript') {
        const [plugin] = REDIS_PLUGINS[egg]!;
        it(`reaches every host with a client of ${plugin}, and takes what a listener of each worker hears once`, async () => {
          const redis = await RedisServer.start();
          const env = { REDIS_PORT: String(redis.port), REDIS_PLUGIN: plugin };
          const hosts: Cluster[] = [];
          try {
            for (let i = 0; i < 2; i++) hosts.push(await startApp({ workers: 2, serverEnv: 'redis', env }));
            const streams: Stream[] = [];
            for (const host of hosts) {
              for (const { url } of host.workers()) {
                const stream = await Stream.open(`${url}/stream?connectKey=news`, signal);
                assert.equal((await stream.next())?.event, 'sse:hello');
                streams.push(stream);
              }
            }
            // What the workers of both hosts hear, each gives to its own clients.
            assert.equal(await redis.admin.publish('headlines', 'a headline'), 4);
            for (const stream of streams) assert.equal((await stream.next())?.data, 'a headline');

            await (await fetch(`${hosts[0]!.url}/publish`, { headers: { Connection: 'close' }, signal })).text();
            for (const stream of streams) {
              assert.equal((await stream.next())?.event, 'created');
              await stream.close();
            }
          } finally {
            await Promise.all(hosts.map((host) => host.stop()));
            await redis.stop();
          }
        });
      }

      // The last thing that its cluster is used for.
      describe('when it is stopped', () => {
        it('says bye, ends its streams and then itself on SIGTERM, long before Egg would kill it', async () => {
          const stream = await open('connectKey=news');
          const hello = await stream.next();
          await (await call('/publish')).text();

          const stopping = cluster.stop();
          const rest = [await stream.next(), await stream.next(), await stream.next()];
          assert.deepEqual(
            [hello, ...rest].map((event) => event?.event),
            ['sse:hello', 'created', 'sse:bye', undefined],
          );
          const ms = await stopping;
          assert.equal(cluster.status, 0);
          assert.ok(ms < EGG_CLOSE_TIMEOUT_MS - 1_000, `it took ${Math.round(ms)} ms`);
        });
      });

      it('does not start with a wrong option, and says which', async () => {
        await assert.rejects(startApp({ serverEnv: 'wrong' }), /config\.sse\.maxClients is "many"/);
      });
    });
  }
});

function isDeclaration(path: string): boolean {
  return /\.d\.m?ts$/.test(path);
}
