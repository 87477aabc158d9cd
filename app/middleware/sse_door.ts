import type { Application, Context } from 'egg';
import { answerWithoutKoa } from '../../lib/egg/answer';
import { Publisher } from '../../lib/bridge/publisher';
import { mark } from '../../lib/egg/cause';
import { REQUEST } from '../../lib/message/reach';
import { Cors } from '../../lib/http/cors';
import { clientPathOf, serveClient } from '../../lib/http/client_script';
import { checkOptions } from '../../lib/options/options';

/**
 * The first of all middlewares: marks the context as that of a request, publishes what other services post, serves the
 * browser client, and answers methods that open no stream, before a body is read or a CSRF token asked for.
 */
export default (_options: unknown, app: Application) => {
  const checked = checkOptions(app.config.sse);
  const { path, publisher: options } = checked;
  const { enable } = app.config.sse as { enable?: boolean };
  const publisher = Publisher.of(app.sse, options);
  const cors = Cors.of(checked);
  const clientPath = clientPathOf(path);

  return async function sseDoor(ctx: Context, next: () => Promise<unknown>): Promise<void> {
    if (enable !== false && ctx.path === path) {
      if (publisher !== undefined && ctx.method === 'POST') {
        answerWithoutKoa(ctx);
        cors?.apply(ctx.req, ctx.res);
        await publisher.serve(ctx.req, ctx.res);
        return;
      }
      if (app.sse.endpoint.answerMethod(ctx.req, ctx.res)) {
        ctx.respond = false;
        return;
      }
    }
    if (enable !== false && ctx.path === clientPath && (ctx.method === 'GET' || ctx.method === 'HEAD')) {
      answerWithoutKoa(ctx);
      serveClient(ctx.req, ctx.res);
      return;
    }
    mark(ctx, REQUEST);
    await next();
  };
};
