import { lead } from './lead.mjs';

export { connect } from './sse.mjs';
export type { ConnectOptions, Sse, SseEvent, SseEventMap, SseGapEvent, SseStateEvent } from './sse.mjs';

// This file is both the page's module and the shared worker's script. The name of the worker is its scope.
if ('SharedWorkerGlobalScope' in globalThis) lead((globalThis as unknown as { name: string }).name, () => undefined);
