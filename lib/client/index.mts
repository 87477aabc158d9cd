import { lead } from './lead.mjs';

export { connect } from './sse.mjs';
export type { ConnectOptions, Sse, SseEvent, SseEventMap, SseGapEvent, SseStateEvent } from './sse.mjs';

// The same file is the page's module and the shared worker's script, whose name says what to connect to.
if ('SharedWorkerGlobalScope' in globalThis) lead((globalThis as unknown as { name: string }).name, () => undefined);
