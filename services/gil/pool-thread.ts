/** One thread of the pool for `def` endpoints: takes a call, runs it under the GIL, sends back what it gave. */
import { parentPort, workerData } from 'node:worker_threads';
import { setRuntime } from '../runtime.ts';
import { collectTimings, type Timing } from '../timed.ts';
import { Gil } from './gil.ts';
import { meter } from './meter.ts';
import { setGil, threadCpuMs } from './python.ts';
import { registered } from './registry.ts';
import type { PoolAnswer, PoolCall, PoolThreadStart } from './thread-pool.ts';

const { gil: state, index, workerClass, module } = workerData as PoolThreadStart;
const port = parentPort!;
const gil = new Gil(state, index + 1);
const tell = (answer: PoolAnswer): void => port.postMessage(answer);

setGil(gil);
setRuntime({
  workerClass,
  thread: 'AnyIO worker thread',
  exit: (status) => {
    tell({ kind: 'exit', status });
    return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0) as never;
  },
});

let usedMs = 0;

/** CPU time since the last call, without the application's work. */
function ownMs(): number {
  const before = usedMs;
  usedMs = threadCpuMs() - meter.workMs;
  return usedMs - before;
}

port.on('message', async (call: PoolCall) => {
  const timings: Timing[] = [];
  try {
    const run = await registered(call.module, call.key);
    gil.acquire();
    let value: unknown;
    try {
      value = collectTimings(timings, () => run(...call.args));
    } finally {
      gil.release();
    }
    tell({ kind: 'result', id: call.id, value, ownMs: ownMs(), timings });
  } catch (error) {
    tell({ kind: 'error', id: call.id, error });
  }
});

// Loaded before the first call, and outside the GIL, since this is ours to pay and not Python's.
await import(module).catch(() => {});
ownMs();
tell({ kind: 'ready' });
