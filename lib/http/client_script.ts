import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SseRequest, SseResponse } from '../connection/wire';

interface Script {
  readonly bytes: Buffer;
  readonly etag: string;
}

let script: Script | undefined;

/**
 * Answers a GET or HEAD with the browser client, one file that is both a module for pages and the script of their
 * shared worker: with 200, or with 304 when the browser has it already.
 */
export function serveClient(request: SseRequest, response: SseResponse): void {
  script ??= read();
  const { bytes, etag } = script;
  response.setHeader('ETag', etag);
  // Browsers ask again each time: a page must never meet a shared worker older than the server. The file is small.
  response.setHeader('Cache-Control', 'no-cache');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  const known = request.headers['if-none-match'] ?? '';
  if (known.split(',').some((each) => each.trim().replace(/^W\//, '') === etag || each.trim() === '*')) {
    response.writeHead(304);
    response.end();
    return;
  }
  response.setHeader('Content-Type', 'text/javascript; charset=utf-8');
  response.setHeader('Content-Length', bytes.length);
  response.writeHead(200);
  // Both kinds of response accept a Buffer, but TypeScript finds no common signature.
  if (request.method === 'HEAD') response.end();
  else (response as import('node:http').ServerResponse).end(bytes);
}

/** The path of the client script, by the path of the stream. */
export function clientPathOf(path: string): string {
  return `${path.replace(/\/$/, '')}/client.js`;
}

/** Reads the script, which scripts/build_client.mjs builds. */
function read(): Script {
  const bytes = readFileSync(join(__dirname, '../client/client.mjs'));
  return { bytes, etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 27)}"` };
}
