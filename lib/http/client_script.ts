import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SseResponse, SseRequest } from '../connection/wire';

interface Script {
  readonly bytes: Buffer;
  readonly etag: string;
}

let script: Script | undefined;

/**
 * Answers a GET or HEAD with the browser client, one file that is both a module for pages and the script of their shared
 * worker: 200, or 304 for who has it already.
 */
export function serveClient(request: SseRequest, response: SseResponse): void {
  script ??= read();
  const { bytes, etag } = script;
  response.setHeader('ETag', etag);
  // It is small, and asked for anew: a page never meets a worker that is older than the server.
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
  // Both kinds take a Buffer alike, but TypeScript finds no common signature.
  if (request.method === 'HEAD') response.end();
  else (response as import('node:http').ServerResponse).end(bytes);
}

/** Where the client is served, by the path of the stream. */
export function clientPathOf(path: string): string {
  return `${path.replace(/\/$/, '')}/client.js`;
}

/** Built by scripts/build_client.mjs. */
function read(): Script {
  const bytes = readFileSync(join(__dirname, '../client/client.mjs'));
  return { bytes, etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 27)}"` };
}
