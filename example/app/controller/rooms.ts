import { Controller } from 'egg';

const ROOM = /^[a-z0-9-]{1,32}$/;
const MAX_NAME_LENGTH = 24;
const MAX_TEXT_LENGTH = 500;

/** A room: what is posted to it goes to everyone who holds its key. */
export default class RoomsController extends Controller {
  async post(): Promise<void> {
    const { ctx, app } = this;
    const room = String(ctx.params.room);
    if (!ROOM.test(room)) ctx.throw(400, 'a room is named with 1 to 32 of a-z, 0-9 and -');
    if (!ctx.is('json')) ctx.throw(415, 'send JSON: { "name": "…", "text": "…" }');

    const name = this.#read('name', MAX_NAME_LENGTH);
    const text = this.#read('text', MAX_TEXT_LENGTH);
    const receipt = await app.sse.publish(`room:${room}`, { event: 'said', data: { name, text, at: Date.now() } });

    ctx.status = 201;
    ctx.body = receipt;
  }

  #read(field: string, maxLength: number): string {
    const body = this.ctx.request.body as Record<string, unknown>;
    const value = body[field];
    if (typeof value !== 'string' || value.trim() === '')
      this.ctx.throw(422, `${field} must be a text that is not empty`);
    const text = value.trim();
    if (text.length > maxLength)
      this.ctx.throw(422, `${field} has ${text.length} characters; it may have ${maxLength}`);
    return text;
  }
}

declare module 'egg' {
  interface IController {
    rooms: RoomsController;
  }
}
