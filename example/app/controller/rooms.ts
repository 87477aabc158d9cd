import { Controller } from 'egg';
import { readText } from '../../lib/texts';

const ROOM = /^[a-z0-9-]{1,32}$/;
const MAX_NAME_LENGTH = 24;
const MAX_TEXT_LENGTH = 500;

/** A room: what is posted to it goes to everyone who holds its key. */
export default class RoomsController extends Controller {
  async post(): Promise<void> {
    const { ctx, app } = this;
    const room = String(ctx.params.room);
    if (!ROOM.test(room)) ctx.throw(400, 'a room is named with 1 to 32 of a-z, 0-9 and -');

    const name = readText(ctx, 'name', MAX_NAME_LENGTH);
    const text = readText(ctx, 'text', MAX_TEXT_LENGTH);
    const receipt = await app.sse.publish(`room:${room}`, { event: 'said', data: { name, text, at: Date.now() } });

    ctx.status = 201;
    ctx.body = receipt;
  }
}

declare module 'egg' {
  interface IController {
    rooms: RoomsController;
  }
}
