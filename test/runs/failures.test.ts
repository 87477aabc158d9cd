import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { Log } from '../../lib/log/log';
import { NO_LOSSES, type Draft, type Poll } from '../../lib/order/broker';
import type { Position } from '../../lib/order/cursor';
import { Runs } from '../../lib/runs/runs';
import { eventually } from '../support/eventually';

const WIDE = { age: 1e9, count: 1e9, bytes: 1e9 };

/** The runs of a process, in an order that a test can cut off. */
class Scene {
  isCut = false;
  readonly logged: string[] = [];
  readonly log = new Log({ history: WIDE, runs: WIDE });
  readonly runs: Runs;
  #seq = 0;

  constructor() {
    this.log.lose('aaaaaaaa', NO_LOSSES);
    const log = (message: string | Error): void => void this.logged.push(inspect(message));
    this.runs = new Runs({
      log: this.log,
      watched: () => [],
      broker: { publish: (draft) => this.#publish(draft), catchUp: async () => true, ask: () => this.#ask() },
      logger: { info: log, warn: log, error: log },
      isOn: true,
    });
  }

  async #publish(draft: Draft): Promise<Position> {
    if (this.isCut) throw new Error('the order is out of sight');
    const position = { epoch: 'aaaaaaaa', seq: ++this.#seq };
    this.log.append(draft, position);
    return position;
  }

  async #ask(): Promise<Poll> {
    return { answers: [], complete: true };
  }
}

describe('runs whose process is cut off or going', () => {
  it('are not produced any more once their end could not be published, which is logged', async () => {
    const scene = new Scene();
    let goOn = (): void => undefined;
    const waits = new Promise<void>((resolve) => (goOn = resolve));
    const { key } = await scene.runs.start('1', async function* () {
      await waits;
      yield* [];
    });
    assert.deepEqual(scene.runs.producedOf([key, 'run:2']), [key]);
    scene.isCut = true;
    goOn();
    await eventually(() => scene.runs.producedOf([key]).length === 0);
    assert.equal(scene.logged.length, 1);
    assert.match(scene.logged[0]!, /the end of the run "1" was not published[^]*the order is out of sight/);
    assert.equal(scene.log.runOf(key)?.newest.run?.is, 'start');
  });

  it('are not started when their start has no place, and may be once it can have one', async () => {
    const scene = new Scene();
    scene.isCut = true;
    const produce = async function* (): AsyncGenerator<string> {
      yield 'x';
    };
    await assert.rejects(scene.runs.start('1', produce), /the order is out of sight/);
    assert.deepEqual(scene.runs.producedOf(['run:1']), []);
    scene.isCut = false;
    assert.equal((await scene.runs.start('1', produce)).key, 'run:1');
  });

  it('are not started any more when their worker is going, also when it is told so twice', async () => {
    const scene = new Scene();
    await Promise.all([scene.runs.stop(), scene.runs.stop()]);
    const started = scene.runs.start('1', async function* () {
      yield 'x';
    });
    await assert.rejects(started, { code: 'ERR_SSE_STOPPED', status: 503 });
    assert.equal(scene.log.head, 0);
  });
});
