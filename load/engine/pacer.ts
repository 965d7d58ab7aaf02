// Wakes the event loop at an instant, to about a tenth of a millisecond. Timers of Node are a millisecond late on average,
// which would be added to every latency of an open-loop run; spinning would take the core that the server needs. So a thread
// of its own sleeps on a futex with a timeout and then wakes the loop through another.
import { Worker } from 'node:worker_threads';

const WAKE = 0;
const ASK = 1;
const DUE_BYTE = 8;

/** The thread's program; plain JavaScript, because it is started from text. */
const SLEEPER = `
const { workerData } = require('node:worker_threads');
const flags = new Int32Array(workerData);
const due = new Float64Array(workerData, ${DUE_BYTE}, 1);
for (;;) {
  const asked = Atomics.load(flags, ${ASK});
  if (asked < 0) break;
  const left = due[0] === 0 ? Infinity : due[0] - (performance.timeOrigin + performance.now());
  if (left > 0.02) {
    Atomics.wait(flags, ${ASK}, asked, left);
    continue;
  }
  due[0] = 0;
  Atomics.add(flags, ${WAKE}, 1);
  Atomics.notify(flags, ${WAKE});
  Atomics.wait(flags, ${ASK}, asked);
}
`;

export class Pacer {
  readonly #memory = new SharedArrayBuffer(DUE_BYTE + 8);
  readonly #flags = new Int32Array(this.#memory);
  readonly #due = new Float64Array(this.#memory, DUE_BYTE, 1);
  readonly #thread: Worker;
  readonly ready: Promise<void>;
  #wake: (() => void) | undefined;

  constructor() {
    this.#thread = new Worker(SLEEPER, { eval: true, workerData: this.#memory });
    this.ready = new Promise((done) => this.#thread.once('online', done));
  }

  /** Calls `wake` at `atMs` of performance.now(); a later call replaces an earlier one. */
  at(atMs: number, wake: () => void): void {
    this.#wake = wake;
    const seen = Atomics.load(this.#flags, WAKE);
    this.#due[0] = performance.timeOrigin + atMs;
    Atomics.add(this.#flags, ASK, 1);
    Atomics.notify(this.#flags, ASK);
    const waiting = Atomics.waitAsync(this.#flags, WAKE, seen);
    const fire = (): void => {
      if (this.#wake !== wake) return;
      this.#wake = undefined;
      wake();
    };
    if (waiting.async) void waiting.value.then(fire);
    else setImmediate(fire);
  }

  stop(): void {
    this.#wake = undefined;
    Atomics.store(this.#flags, ASK, -1);
    Atomics.notify(this.#flags, ASK);
    this.#thread.unref();
  }
}
