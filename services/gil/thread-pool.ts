/**
 * The pool in which an ASGI framework runs its plain `def` endpoints, AnyIO's: at most 40 at a time, the rest waits. Threads are made
 * when they are needed and kept. They and the event loop share one GIL.
 * A thread loads the application's module for itself; what runs there is found by name, and arguments and results are copied.
 */
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker as Thread } from 'node:worker_threads';
import { credit, spend } from '../cost/bill.ts';
import { runtime } from '../runtime.ts';
import { type Timing, timingsOfRequest } from '../timed.ts';
import { publishGauges } from './gauges.ts';
import { createGil, Gil, type GilState } from './gil.ts';
import { loopGil } from './loop.ts';
import { setGil } from './python.ts';

const extension = path.extname(fileURLToPath(import.meta.url));
const PROGRAM = new URL(`./pool-thread${extension}`, import.meta.url);

/** How many calls run at a time: AnyIO's default limiter. */
export const POOL_TOKENS = 40;

/**
 * How many threads start at a time. A thread of Python is there at once; ours computes for some 40 ms first, and a burst of calls that
 * started all 40 together would have none for seconds.
 */
const STARTING_AT_A_TIME = availableParallelism();

/** What a pool thread is started with. */
export interface PoolThreadStart {
  /** The module that the first call will want: loading it is most of a thread's start. */
  readonly module: string;
  readonly gil: GilState;
  readonly index: number;
  readonly workerClass: string;
}

/** One call: a function that a module has registered under a key. */
export interface PoolCall {
  readonly id: number;
  readonly module: string;
  readonly key: string;
  readonly args: readonly unknown[];
}

/**
 * A thread is ready, how a call ended, or that the process shall exit. `ownMs` is CPU time of the thread for the call, without the
 * application's work; `timings` is what timed() has measured in it.
 */
export type PoolAnswer =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'result';
      readonly id: number;
      readonly value: unknown;
      readonly ownMs: number;
      readonly timings: readonly Timing[];
    }
  | { readonly kind: 'error'; readonly id: number; readonly error: unknown }
  | { readonly kind: 'exit'; readonly status: number };

interface Pending {
  readonly call: PoolCall;
  /** Where timed() puts what it measures for the request of this call. */
  readonly timings: Timing[] | null;
  readonly done: (value: unknown) => void;
  readonly fail: (error: unknown) => void;
}

let options = { isGilOn: true, switchIntervalMs: 5 };
let state: GilState | null = null;
let nextId = 1;
const idle: Thread[] = [];
const waiting: Pending[] = [];
const running = new Map<number, Pending>();
let threads = 0;
let starting = 0;

/** Sets how the pool of this process will be made. */
export function useThreadPool(settings: typeof options): void {
  options = settings;
}

/** Calls in the pool, and calls that wait for a token. */
export function poolLoad(): { readonly running: number; readonly waiting: number } {
  return { running: running.size, waiting: waiting.length };
}

/** Runs a registered function in the pool. Rejects with what it throws. */
export function runInThreadPool(module: string, key: string, args: readonly unknown[]): Promise<unknown> {
  return new Promise((done, fail) => {
    waiting.push({ call: { id: nextId++, module, key, args }, timings: timingsOfRequest(), done, fail });
    dispatch();
  });
}

// A call is given to a thread that is ready, never to one that is still starting: another may be free sooner.
function dispatch(): void {
  while (waiting.length > 0 && idle.length > 0) {
    const thread = idle.pop() as Thread;
    const pending = waiting.shift() as Pending;
    running.set(pending.call.id, pending);
    thread.postMessage(pending.call);
  }
  while (waiting.length > starting && starting < STARTING_AT_A_TIME && threads < POOL_TOKENS) start();
}

function start(): void {
  if (!state) {
    state = createGil({ switchIntervalMs: options.switchIntervalMs, isOn: options.isGilOn });
    publishGauges(state);
    const gil = new Gil(state, POOL_TOKENS + 1);
    gil.onForcedSwitch = () => spend('gil.switch');
    setGil(gil);
    loopGil.use(gil);
    loopGil.enter();
  }
  const workerData: PoolThreadStart = {
    gil: state,
    index: threads++,
    workerClass: runtime().worker_class,
    module: waiting[0]?.call.module ?? '',
  };
  const thread = new Thread(PROGRAM, { workerData });
  starting++;
  // Idle threads do not keep a process alive that has nothing else to do.
  thread.unref();
  thread.on('message', (answer: PoolAnswer) => {
    if (answer.kind === 'exit') process.exit(answer.status);
    loopGil.enter();
    idle.push(thread);
    if (answer.kind === 'ready') {
      starting--;
      dispatch();
      return;
    }
    const pending = running.get(answer.id);
    running.delete(answer.id);
    dispatch();
    if (answer.kind === 'result') {
      credit(answer.ownMs);
      pending?.timings?.push(...answer.timings);
      pending?.done(answer.value);
    } else pending?.fail(answer.error);
  });
}
