import type { Context } from 'egg';

/** A text that was posted in JSON, trimmed. Answers 415 or 422, with the reason, when there is none or it is too long. */
export function readText(ctx: Context, field: string, maxLength: number): string {
  if (!ctx.is('json')) ctx.throw(415, `send JSON, with the field ${field}`);
  const body = ctx.request.body as Record<string, unknown>;
  const value = body[field];
  if (typeof value !== 'string' || value.trim() === '') ctx.throw(422, `${field} must be a text that is not empty`);
  const text = value.trim();
  if (text.length > maxLength) ctx.throw(422, `${field} has ${text.length} characters; it may have ${maxLength}`);
  return text;
}
