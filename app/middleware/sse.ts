import type { Application, Context } from 'egg';
import { answerWithoutKoa } from '../../lib/egg/answer';
import { handOver } from '../../lib/egg/context';

/** The stream endpoint: the last of the app's own middlewares, so that sessions and logins are there. */
export default (options: { path: string }, app: Application) =>
  async function sse(ctx: Context, next: () => Promise<unknown>): Promise<void> {
    const isEndpoint = ctx.path === options.path;
    if (isEndpoint) answerWithoutKoa(ctx);
    // A request that runs again for the authorizer ends here: its controller has opened the stream already.
    if (handOver(ctx.req, ctx)) ctx.respond = false;
    else if (isEndpoint) await app.sse.endpoint.serve(ctx.req, ctx.res, ctx);
    else await next();
  };
