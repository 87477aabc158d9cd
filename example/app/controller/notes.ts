import { Controller } from 'egg';
import { AUDIENCES, userOf } from '../../lib/people';
import { readText } from '../../lib/texts';

const MAX_TEXT_LENGTH = 500;

/** Notes to a person, a team, everyone who is logged in, or guests. Anyone may write them. */
export default class NotesController extends Controller {
  async post(): Promise<void> {
    const { app, ctx } = this;
    const text = readText(ctx, 'text', MAX_TEXT_LENGTH);
    const { to } = ctx.request.body as { to?: unknown };
    const key = AUDIENCES.get(String(to));
    if (key === undefined) return ctx.throw(422, `to must be one of ${[...AUDIENCES.keys()].join(', ')}`);

    const from = userOf(ctx.session);
    ctx.status = 201;
    ctx.body = await app.sse.publish(key, { event: 'note', data: { to, from, text, at: Date.now() } });
  }
}

declare module 'egg' {
  interface IController {
    notes: NotesController;
  }
}
