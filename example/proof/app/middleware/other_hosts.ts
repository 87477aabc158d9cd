import type { Context } from 'egg';

/** Lets the page of one host call the API of another, with its CSRF token. Streams need nothing of it. */
export default () =>
  async (ctx: Context, next: () => Promise<unknown>): Promise<void> => {
    const origin = ctx.get('origin');
    if (ctx.path.startsWith('/api/') && isHost(ctx, origin)) {
      ctx.set({
        'Access-Control-Allow-Origin': origin,
        'Access-Control-Allow-Credentials': 'true',
        'Access-Control-Allow-Headers': 'content-type, x-csrf-token',
        Vary: 'Origin',
      });
      if (ctx.method === 'OPTIONS') {
        ctx.status = 204;
        return;
      }
    }
    await next();
  };

/** Another port of the same machine, by the same name. */
function isHost(ctx: Context, origin: string): boolean {
  const { hosts } = ctx.app.config.proof;
  return hosts.some((port) => origin === `http://${ctx.hostname}:${port}`);
}
