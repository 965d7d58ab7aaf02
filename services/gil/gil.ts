/**
 * DESIGN. The global interpreter lock: one lock for all threads of a worker process, with CPython's rules (Python/ceval_gil.c, 3.2 and
 * later). A thread that wants it waits one switch interval; if nobody let go in that time it asks the holder to drop it. The holder
 * looks for that request at its checkpoints, drops the lock, and waits until another thread has it (forced switching), so that a thread
 * that computes cannot take it straight back. Blocking calls and native code drop the lock around themselves.
 *
 * Threads are node:worker_threads, and the lock is five integers in a SharedArrayBuffer, so contention is real: threads that wait for it
 * really wait, on a futex. Each thread is its own JavaScript heap, which needs no such lock; what the lock gives back is what Python's
 * threads have in common with each other, one core's worth of interpreter.
 * `isOn` false is the free-threaded build: the same calls, and nothing to wait for.
 */
import { meter } from './meter.ts';

const LOCKED = 0;
const DROP_REQUEST = 1;
const SWITCHES = 2;
const HOLDER = 3;
const WAITING = 4;
const FORCED = 5;
const FIELDS = 6;
// After the integers, 8-byte aligned: sums in ms. Only the holder writes them, so the lock itself keeps them whole.
const SUMS_AT = 32;
const WAIT_MS = 0;
const HOLD_MS = 1;
const ACQUIRED = 2;
const SUMS = 3;

/** What threads share; it can be sent to a worker thread. */
export interface GilState {
  readonly memory: SharedArrayBuffer;
  readonly switchIntervalMs: number;
  readonly isOn: boolean;
}

/** What a lock has seen since it was made. Times are sums over all threads, in ms. */
export interface GilGauges {
  readonly waitMs: number;
  readonly holdMs: number;
  /** How often it was taken. */
  readonly acquired: number;
  /** How often it went from one thread to another, and how often because the other had asked. */
  readonly switches: number;
  readonly forced: number;
  /** Threads that wait at this moment. */
  readonly waiting: number;
}

/** Reads the gauges, from any thread. */
export function gilGauges(state: GilState): GilGauges {
  const words = new Int32Array(state.memory, 0, FIELDS);
  const sums = new Float64Array(state.memory, SUMS_AT, SUMS);
  return {
    waitMs: sums[WAIT_MS] ?? 0,
    holdMs: sums[HOLD_MS] ?? 0,
    acquired: sums[ACQUIRED] ?? 0,
    switches: Atomics.load(words, SWITCHES),
    forced: Atomics.load(words, FORCED),
    waiting: Atomics.load(words, WAITING),
  };
}

/** CPython's default of sys.setswitchinterval(), in ms. */
export const SWITCH_INTERVAL_MS = 5;

/** A new lock, held by nobody. */
export function createGil(options: { switchIntervalMs?: number; isOn?: boolean } = {}): GilState {
  return {
    memory: new SharedArrayBuffer(SUMS_AT + SUMS * 8),
    switchIntervalMs: options.switchIntervalMs ?? SWITCH_INTERVAL_MS,
    isOn: options.isOn ?? true,
  };
}

/** One thread's view of the lock. `thread` is any number that no other thread has, not 0. */
export class Gil {
  readonly #words: Int32Array;
  readonly #sums: Float64Array;
  readonly #thread: number;
  readonly #intervalMs: number;
  readonly #isOn: boolean;
  #depth = 0;
  #takenAt = 0;
  /** Called in a thread that has just been given the lock because it asked for it; for the cost model. */
  onForcedSwitch: () => void = () => {};
  /** Called after the lock was given back, for good or around a blocking call, not when another thread has asked for it. */
  onDropped: (isReleased: boolean) => void = () => {};
  /** Called at checkpoints under the lock. */
  onCheckpoint: () => void = () => {};

  constructor(state: GilState, thread: number) {
    this.#words = new Int32Array(state.memory, 0, FIELDS);
    this.#sums = new Float64Array(state.memory, SUMS_AT, SUMS);
    this.#thread = thread;
    this.#intervalMs = state.switchIntervalMs;
    this.#isOn = state.isOn;
  }

  /** How many threads wait for the lock at this moment. */
  get waiting(): number {
    return Atomics.load(this.#words, WAITING);
  }

  /** How often the lock went from one thread to another. */
  get switches(): number {
    return Atomics.load(this.#words, SWITCHES);
  }

  get isHeld(): boolean {
    return this.#depth > 0;
  }

  /** Takes the lock, waiting as long as it takes; nests. */
  acquire(): void {
    if (!this.#isOn || this.#depth++ > 0) return;
    this.#take();
  }

  /** Gives the lock back. */
  release(): void {
    if (!this.#isOn || --this.#depth > 0) return;
    this.#drop(false);
    this.onDropped(true);
  }

  /** Where the interpreter looks up between two bytecodes: lets a waiting thread run if one has asked. Costs one atomic load. */
  checkpoint(): void {
    if (!this.#isOn || this.#depth === 0) return;
    this.onCheckpoint();
    if (Atomics.load(this.#words, DROP_REQUEST) === 0) return;
    this.#drop(true);
    this.#take();
  }

  /** Runs a blocking call or native code without the lock; other threads run meanwhile. */
  readonly allowThreads = <Result>(call: () => Result): Result => {
    if (!this.#isOn || this.#depth === 0) return call();
    const depth = this.#depth;
    this.#depth = 0;
    this.#drop(false);
    this.onDropped(false);
    try {
      return call();
    } finally {
      this.#take();
      this.#depth = depth;
    }
  };

  #take(): void {
    const words = this.#words;
    let waited = 0;
    if (Atomics.compareExchange(words, LOCKED, 0, 1) !== 0) {
      const start = performance.now();
      Atomics.add(words, WAITING, 1);
      do {
        const seen = Atomics.load(words, SWITCHES);
        const result = Atomics.wait(words, LOCKED, 1, this.#intervalMs);
        // Ask only if the same thread has had it all this time: a lock that changes hands needs no push.
        if (result === 'timed-out' && Atomics.load(words, LOCKED) === 1 && Atomics.load(words, SWITCHES) === seen) {
          Atomics.store(words, DROP_REQUEST, 1);
        }
      } while (Atomics.compareExchange(words, LOCKED, 0, 1) !== 0);
      Atomics.sub(words, WAITING, 1);
      this.#takenAt = performance.now();
      waited = this.#takenAt - start;
      meter.gilWaitMs += waited;
    } else this.#takenAt = performance.now();
    this.#add(WAIT_MS, waited);
    this.#add(ACQUIRED, 1);
    const isOther = Atomics.load(words, HOLDER) !== this.#thread;
    if (isOther) {
      Atomics.store(words, HOLDER, this.#thread);
      Atomics.add(words, SWITCHES, 1);
      Atomics.notify(words, SWITCHES);
    }
    if (Atomics.exchange(words, DROP_REQUEST, 0) === 1 && isOther && waited > 0) {
      Atomics.add(words, FORCED, 1);
      this.onForcedSwitch();
    }
  }

  #drop(isForced: boolean): void {
    const words = this.#words;
    const seen = Atomics.load(words, SWITCHES);
    this.#add(HOLD_MS, performance.now() - this.#takenAt);
    Atomics.store(words, LOCKED, 0);
    Atomics.notify(words, LOCKED, 1);
    // The bound is for the case that the thread which asked has given up meanwhile: it must not hold us for ever.
    if (!isForced || Atomics.load(words, WAITING) === 0) return;
    const start = performance.now();
    Atomics.wait(words, SWITCHES, seen, this.#intervalMs * 2);
    meter.gilWaitMs += performance.now() - start;
  }

  #add(sum: number, amount: number): void {
    this.#sums[sum] = (this.#sums[sum] ?? 0) + amount;
  }
}
