/** One thread of the pool for `def` endpoints: takes calls, runs them under the GIL, sends back what they gave. */
import { parentPort, workerData } from 'node:worker_threads';
import { setRuntime } from '../runtime.ts';
import { collectTimings, type Timing } from '../timed.ts';
import { CallQueue } from './call-queue.ts';
import { Gil } from './gil.ts';
import { meter } from './meter.ts';
import { setGil, threadCpuMs } from './python.ts';
import { loaded, registered } from './registry.ts';
import type { PoolAnswer, PoolCall, PoolThreadStart } from './thread-pool.ts';

const { gil: state, queue: memory, index, workerClass, module } = workerData as PoolThreadStart;
const port = parentPort!;
const gil = new Gil(state, index + 1);
const queue = new CallQueue(memory);
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

// A call that computes no longer than this is as good as over when another could begin.
const SHORT_CALL_MS = 1;
let begunAt = 0;
let isRetired = false;
let hasTold = false;

/** This call lasts: others must be able to run meanwhile, and the event loop is told once if nobody here can wake them. */
function standBack(wake: () => boolean): void {
  if (!isRetired) queue.retire();
  isRetired = true;
  if (wake() || hasTold) return;
  hasTold = true;
  tell({ kind: 'short' });
}

gil.onDropped = (isReleased) => {
  if (!isReleased) standBack(() => queue.rouse());
};
// All of them: they wait for the lock from now on, and ask for it.
gil.onCheckpoint = () => {
  if (!isRetired && performance.now() - begunAt > SHORT_CALL_MS) standBack(() => queue.rouseAll());
};

async function run(call: PoolCall): Promise<void> {
  const timings: Timing[] = [];
  try {
    const callable = loaded(call.module, call.key) ?? (await registered(call.module, call.key));
    let value: unknown;
    gil.acquire();
    begunAt = performance.now();
    try {
      value = collectTimings(timings, () => callable(...call.args));
      tell({ kind: 'result', id: call.id, value, ownMs: ownMs(), timings });
    } finally {
      gil.release();
    }
  } catch (error) {
    tell({ kind: 'error', id: call.id, error });
  }
  if (isRetired) queue.activate();
  isRetired = false;
  hasTold = false;
}

// Between two calls the event loop turns once, so that what an application prints gets out.
async function turn(direct: PoolCall | null): Promise<void> {
  for (let call = direct ?? queue.pop(); ; call = queue.pop()) {
    if (call) {
      await run(call as PoolCall);
      break;
    }
    if (queue.park(index)) continue;
    if (queue.hasDirect) tell({ kind: 'idle' });
    return;
  }
  setImmediate(() => turn(null));
}

port.on('message', turn);

// Loaded before the first call, and outside the GIL, since this is ours to pay and not Python's.
await import(module).catch(() => {});
ownMs();
tell({ kind: 'ready' });
queue.activate();
await turn(null);
