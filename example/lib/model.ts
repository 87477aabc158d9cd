import { setTimeout as sleep } from 'node:timers/promises';
import type { SseEvent } from 'egg-sse';

const TOKEN_MS = 60;
const PARAGRAPHS = 6;

const SUBJECTS = ['The hen', 'A good egg', 'Every farmer', 'The shell', 'An omelette', 'The nest', 'The early bird'];
const VERBS = ['remembers', 'never minds', 'is proof of', 'depends on', 'quietly improves', 'was always about'];
const OBJECTS = ['the weather', 'a warm place', 'patience', 'the first crack', 'its neighbours', 'breakfast', 'a plan'];
const ENDS = ['.', '; nobody disagrees.', ', as the old books say.', ', which is why it rolls.', '. Mostly.'];

/**
 * The answer of a pretend model: it is nonsense, and comes a few letters at a time, as that of a real one does.
 * The first event says which worker it runs on.
 */
export async function* answer(question: string, signal: AbortSignal): AsyncGenerator<string | SseEvent> {
  yield { event: 'worker', data: { pid: process.pid } };
  for (const token of tokensOf(`You asked: “${question}”\n\n${nonsense()}`)) {
    await sleep(TOKEN_MS, undefined, { signal });
    yield token;
  }
}

function nonsense(): string {
  const sentence = (): string => `${pick(SUBJECTS)} ${pick(VERBS)} ${pick(OBJECTS)}${pick(ENDS)}`;
  const paragraph = (): string => Array.from({ length: 4 }, sentence).join(' ');
  return Array.from({ length: PARAGRAPHS }, paragraph).join('\n\n');
}

function tokensOf(text: string): string[] {
  return text.match(/\s*\S{1,4}|\s+/g) ?? [];
}

function pick(words: readonly string[]): string {
  return words[Math.floor(Math.random() * words.length)]!;
}
