import type { Broker, Draft } from '../../lib/order/broker';
import { parseLastEventId, toCursor, type Position } from '../../lib/order/cursor';
import { assemble } from '../../lib/parts';
import type { Hub } from '../../lib/hub/hub';
import type { Readers } from '../../lib/log/readers';
import type { SseOptions } from '../../lib/options/options';
import { optionsWith } from './plain';

/** A process of a broker's range: its replica, and the bodies that it was delivered, in order. */
export class Member {
  readonly broker: Broker;
  readonly hub: Hub;
  readonly readers: Readers;
  readonly delivered: string[] = [];

  constructor(broker: Broker, overrides: Partial<Record<keyof SseOptions, unknown>> = {}) {
    const fail = (message: string | Error): void => {
      throw new Error('the hub logged', { cause: message });
    };
    this.broker = broker;
    const logger = { info: fail, warn: fail, error: fail };
    ({ hub: this.hub, readers: this.readers } = assemble({ options: optionsWith(overrides), broker, logger }));
    const deliver = this.hub.deliver.bind(this.hub);
    this.hub.deliver = (message, position) => {
      this.delivered.push(message.body);
      deliver(message, position);
    };
  }

  start(): Promise<void> {
    return this.broker.start(this.hub);
  }

  publish(body: string, options: Partial<Draft> = {}): Promise<Position> {
    return this.broker.publish({ keys: ['a'], body, ...options }, 'everywhere');
  }

  /** What a client of some keys that comes back would be sent: the texts, and the keys of its gaps. */
  resume(position: Position, keys: readonly string[] = ['a']): { texts: string; gaps: string[] } {
    const { reader, gaps } = this.readers.resume(parseLastEventId(toCursor(position)), keys);
    const lost = gaps.flatMap((gap) => gap.keys);
    const { frames } = this.readers.read(reader, Number.MAX_SAFE_INTEGER);
    const texts = (frames?.toString() ?? '')
      .replaceAll(/id: .*\n\n/g, '')
      .trim()
      .replaceAll('\n', ' ');
    return { texts, gaps: lost };
  }
}
