/**
 * The thread of a Uvicorn worker that answers its supervisor's pings, as always_pong() does: a blocked event loop does not keep it from
 * answering, native code that keeps the GIL does. When the supervisor was killed, nobody asks any more, and the worker serves on.
 */
import net from 'node:net';
import { isMainThread, Worker as Thread, workerData } from 'node:worker_threads';

/** The descriptor on which a worker and its supervisor talk. */
export const CONTROL_FD = 3;
const IS_STARTED = 0;

interface PongStart {
  readonly started: Int32Array;
  readonly heldGil: Int32Array;
}

/** Starts the thread. `isStarted` is what it answers; `heldGil` is not 0 while it may not. */
export function startPong(): { readonly heldGil: Int32Array; setStarted(): void } {
  const started = new Int32Array(new SharedArrayBuffer(4));
  const heldGil = new Int32Array(new SharedArrayBuffer(4));
  const start: PongStart = { started, heldGil };
  new Thread(new URL(import.meta.url), { workerData: start }).unref();
  return { heldGil, setStarted: () => void Atomics.store(started, IS_STARTED, 1) };
}

function answerPings({ started, heldGil }: PongStart): void {
  const control = new net.Socket({ fd: CONTROL_FD, readable: true, writable: true });
  control.on('data', () => {
    Atomics.wait(heldGil, 0, 1);
    control.write(Atomics.load(started, IS_STARTED) === 1 ? 'started\n' : 'starting\n');
  });
  control.on('error', () => {});
}

if (!isMainThread) answerPings(workerData as PongStart);
