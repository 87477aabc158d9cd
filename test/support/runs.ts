import { Stream } from './stream';

/** What a worker of the app `basic` answers. */
export async function get<T>({ url }: { url: string }, path: string): Promise<T> {
  return (await (await fetch(url + path, { headers: { Connection: 'close' } })).json()) as T;
}

/** Opens a run's stream. */
export const open = ({ url }: { url: string }, id: string, lastEventId?: string): Promise<Stream> => {
  const headers: Record<string, string> = lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId };
  return Stream.open(`${url}/stream?connectKey=run:${id}`, { headers });
};

export const isOver = (stream: Stream): boolean => stream.own('end').length + stream.own('error').length > 0;
export const textOf = (stream: Stream): string => stream.data.join('');
/** What the app's runs yield. */
export const upTo = (count: number): string => Array.from({ length: count }, (_, i) => `${i + 1} `).join('');
export const lastOf = (stream: Stream): number => Number(textOf(stream).trim().split(' ').at(-1));

/** All that a reader gets up to the run's end. */
export async function read(worker: { url: string }, id: string, lastEventId?: string): Promise<Stream> {
  const stream = await open(worker, id, lastEventId);
  await stream.until(isOver);
  stream.close();
  return stream;
}

export const codeOf = (stream: Stream): string => (JSON.parse(stream.own('error')[0]!.data) as { code: string }).code;
