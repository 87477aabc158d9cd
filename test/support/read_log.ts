import { Log, type LogOptions } from '../../lib/log/log';
import type { Batch, Beginning, Reader } from '../../lib/log/reader';
import { Readers } from '../../lib/log/readers';
import type { Throttle, ThrottledKeys } from '../../lib/log/throttle';
import type { Message } from '../../lib/order/broker';
import { parseLastEventId, type Position } from '../../lib/order/cursor';

/** A log and its readers, for tests of both: clients' ids come as they are on the wire. */
export class ReadLog {
  readonly log: Log;
  readonly readers: Readers;

  constructor(history: LogOptions['history'], now?: () => number) {
    this.log = new Log({ history, ...(now !== undefined && { now }) });
    this.readers = new Readers(this.log);
  }

  get head(): number {
    return this.log.head;
  }

  begin(position: Position): void {
    this.log.arrive(position);
  }

  append({ position, ...message }: Message & { position?: Position | undefined }): unknown {
    return this.log.append(message, position);
  }

  settle(through: number): void {
    this.readers.settle(through);
  }

  fromHead(keys: readonly string[], throttle?: Throttle): Reader {
    return this.readers.fromHead(keys, throttle);
  }

  resume(lastEventId: string, keys: readonly string[], throttle?: Throttle): Beginning {
    return this.readers.resume(parseLastEventId(lastEventId), keys, throttle);
  }

  rekey(reader: Reader, keys: readonly string[], throttled?: ThrottledKeys): void {
    this.readers.rekey(reader, keys, throttled);
  }

  cursorAt(reader: Reader): string | undefined {
    return this.readers.cursorAt(reader);
  }

  read(reader: Reader, maxBytes: number): Batch {
    return this.readers.read(reader, maxBytes);
  }
}
