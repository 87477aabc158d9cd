import type { Application, Context } from 'egg';
import type { Workers } from './lib/workers';
import { adding } from './pages';

/** The routes of the proof. They come before the app's own: on several hosts, the page at `/` is the proof's. */
export function route({ router, config }: Application, workers: Workers): void {
  const { hosts } = config.proof;

  if (hosts.length > 1) {
    router.get('/', async (ctx: Context) => {
      await ctx.render('hosts.html', {
        title: 'egg-sse on two hosts',
        subtitle: 'Two Egg clusters, each with two workers, and one Redis. This page is connected to both.',
        style: '/proof/hosts.css',
        script: '/proof/hosts.js',
      });
    });
  } else {
    router.get('/', adding({ script: 'home.js', style: 'home.css', panels: 'panels.html' }));
  }
  router.get('/answers', adding({ script: 'answers.js' }));

  // Where the hosts are that share a Redis.
  router.get('/api/hosts', (ctx: Context) => {
    ctx.body = { hosts: hosts.map((port, index) => ({ name: 'AB'[index], port })) };
  });

  // An app that lets anyone kill its workers is a bad app.
  router.post('/api/workers/kill', (ctx: Context): void => {
    const { pid } = ctx.request.body as { pid?: unknown };
    if (typeof pid !== 'number') return ctx.throw(422, 'pid must be a number');
    if (!workers.has(pid)) ctx.throw(404, `no worker of this demo has the pid ${pid}`);

    // The answer goes first: the worker may be this one.
    ctx.res.once('finish', () => workers.kill(pid));
    ctx.status = 202;
    ctx.body = { pid };
  });
}
