import assert from 'node:assert/strict';
import type { Worker } from './cluster';
import { eventually } from './eventually';
import { Stream } from './stream';

/** Has a worker publish a text. */
export async function publish({ url }: { url: string }, key: string, data: string): Promise<void> {
  const response = await fetch(`${url}/publish?key=${key}&data=${data}`);
  assert.equal(response.status, 200);
}

/** Closes a stream, and resolves when no worker holds it any more: what came until then would have been taken by it. */
export async function leave(stream: Stream, { url }: Worker, key: string): Promise<void> {
  stream.close();
  await eventually(async () => {
    const { clients, complete } = (await (await fetch(`${url}/total?key=${key}`)).json()) as {
      clients: number;
      complete: boolean;
    };
    return clients === 0 && complete;
  });
}

/** What a client gets that opens now, up to a last word. */
export async function read(worker: Worker, key: string): Promise<string[]> {
  const stream = await Stream.open(`${worker.url}/stream?connectKey=${key}&connectKey=last`);
  await stream.until(({ events }) => events.length > 0);
  // It is no mail: a worker that is killed at once has not told of what it wrote a moment ago.
  await publish(worker, 'last', 'end');
  await stream.until(({ data }) => data.includes('end'));
  await leave(stream, worker, key);
  assert.deepEqual(stream.own('gap'), []);
  return stream.data.slice(0, -1);
}
