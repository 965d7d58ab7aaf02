import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { createGil, type GilState } from '../../services/gil/gil.ts';

interface Outcome {
  readonly mostInside: number;
  readonly counter: number;
  readonly switches: number;
}

async function run(state: GilState, threads: number, job: string, turns: number): Promise<Outcome> {
  const shared = new SharedArrayBuffer(16);
  const words = new Int32Array(shared);
  words[2] = threads;
  const ends = Array.from(
    { length: threads },
    (_, index) =>
      new Promise<number>((done, fail) => {
        const thread = new Worker(new URL('./gil-thread.ts', import.meta.url), {
          workerData: { state, index, shared, job, turns },
        });
        thread.on('message', done);
        thread.on('error', fail);
      }),
  );
  const switches = await Promise.all(ends);
  return { mostInside: words[1] ?? 0, counter: words[3] ?? 0, switches: Math.max(...switches) };
}

describe('the GIL', () => {
  it('lets one thread in at a time, so that no count is lost', async () => {
    const outcome = await run(createGil(), 3, 'section', 200);
    expect(outcome.mostInside).toBe(1);
    expect(outcome.counter).toBe(600);
  });

  it('off, lets them in together', async () => {
    const outcome = await run(createGil({ isOn: false }), 2, 'section', 500);
    expect(outcome.mostInside).toBe(2);
  });

  it('goes from thread to thread while they compute: the holder is made to let go', async () => {
    const outcome = await run(createGil({ switchIntervalMs: 2 }), 2, 'burn', 5);
    // Ten turns of 20 ms of CPU time with an interval of 2 ms: without forced switching there would be ten changes of hands at most.
    expect(outcome.switches).toBeGreaterThan(10);
  });

  it('is dropped around native code, which then runs in parallel', async () => {
    const outcome = await run(createGil(), 2, 'native', 5);
    expect(outcome.mostInside).toBe(2);
  });
});
