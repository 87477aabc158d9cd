import type { Context } from 'egg';

/** What a login or a session does: it has its say before the stream opens. */
export default () =>
  async function visit(ctx: Context, next: () => Promise<unknown>): Promise<void> {
    ctx.set('X-Visit', 'seen');
    ctx.cookies.set('visit', 'seen');
    await next();
  };
