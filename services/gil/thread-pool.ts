/**
 * The pool in which an ASGI framework runs its plain `def` endpoints, AnyIO's: at most 40 at a time, the rest waits. Threads are made
 * when they are needed and kept. They and the event loop share one GIL.
 * A thread loads the application's module for itself; what runs there is found by name, and arguments and results are copied.
 */
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Worker as Thread } from 'node:worker_threads';
import { credit, spend } from '../cost/bill.ts';
import { runtime } from '../runtime.ts';
import { type Timing, timingsOfRequest } from '../timed.ts';
import { CallQueue, type CallQueueMemory, callQueueMemory } from './call-queue.ts';
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
  readonly queue: CallQueueMemory;
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
 * A thread is ready; sleeps while a call waits that only a message can bring; cannot wake another for a call that waits; how a call
 * ended; or that the process shall exit. `ownMs` is CPU time of the thread for the call, without the
 * application's work; `timings` is what timed() has measured in it.
 */
export type PoolAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'idle' }
  | { readonly kind: 'short' }
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
  /** Where its arguments lie in shared memory; -1 if they went by message. */
  slot: number;
  /** Too large for a slot, or only a port can copy it. */
  isDirect: boolean;
}

let options = { isGilOn: true, switchIntervalMs: 5 };
let pool: {
  readonly gil: Gil;
  readonly state: GilState;
  readonly memory: CallQueueMemory;
  readonly queue: CallQueue;
} | null = null;
let nextId = 1;
const threads: Thread[] = [];
const waiting: Pending[] = [];
const running = new Map<number, Pending>();
const freeSlots = Array.from({ length: POOL_TOKENS }, (_, slot) => slot).reverse();
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
    waiting.push({
      call: { id: nextId++, module, key, args },
      timings: timingsOfRequest(),
      done,
      fail,
      slot: -1,
      isDirect: false,
    });
    dispatch();
  });
}

function createPool(): NonNullable<typeof pool> {
  // Each thread compiles for itself what it runs often, and forty that do so at once keep the cores from everything else for seconds.
  // What they run spends time that is measured, so code of the quick compilers is as good.
  setFlagsFromString('--no-turbofan');
  const state = createGil({ switchIntervalMs: options.switchIntervalMs, isOn: options.isGilOn });
  publishGauges(state);
  const gil = new Gil(state, POOL_TOKENS + 1);
  gil.onForcedSwitch = () => spend('gil.switch');
  gil.onDropped = rouse;
  setGil(gil);
  loopGil.use(gil);
  loopGil.enter();
  const memory = callQueueMemory(POOL_TOKENS);
  return { gil, state, memory, queue: new CallQueue(memory) };
}

function dispatch(): void {
  pool ??= createPool();
  while (waiting.length > 0 && running.size < POOL_TOKENS) {
    const pending = waiting[0] as Pending;
    if (!(pending.isDirect ? sendDirect(pending) : enqueue(pending))) break;
    waiting.shift();
    running.set(pending.call.id, pending);
  }
  if (options.isGilOn) rouse();
  else rouseForAll();
}

function enqueue(pending: Pending): boolean {
  const slot = freeSlots.pop() as number;
  if (pool?.queue.push(slot, pending.call)) {
    pending.slot = slot;
    return true;
  }
  freeSlots.push(slot);
  pending.isDirect = true;
  return sendDirect(pending);
}

// By message, to a thread that has nothing else to do: one that is there can be called away to its event loop, else one is started.
function sendDirect(pending: Pending): boolean {
  const { queue } = pool as NonNullable<typeof pool>;
  queue.hasDirect = true;
  const thread = queue.claimAsleep();
  if (thread < 0) {
    if (queue.claim() < 0) startMore();
    return false;
  }
  queue.hasDirect = false;
  threads[thread]?.postMessage(pending.call);
  return true;
}

/** Sees to it that one thread looks at the queue; it or its successors see to the rest. */
function rouse(): void {
  if (!pool || pool.queue.rouse()) return;
  if (!wakeSleeper()) startMore();
}

function rouseForAll(): void {
  for (let count = pool?.queue.length ?? 0; count > 0; count--) {
    if ((pool?.queue.claim() ?? -1) < 0 && !wakeSleeper()) {
      startMore();
      return;
    }
  }
}

function wakeSleeper(): boolean {
  const thread = pool?.queue.claimAsleep() ?? -1;
  threads[thread]?.postMessage(null);
  return thread >= 0;
}

function startMore(): void {
  const calls = (pool?.queue.length ?? 0) + waiting.length;
  while (calls > starting && starting < STARTING_AT_A_TIME && threads.length < POOL_TOKENS) start();
}

function start(): void {
  const { state, memory } = pool as NonNullable<typeof pool>;
  const call = running.values().next().value?.call ?? waiting[0]?.call;
  const workerData: PoolThreadStart = {
    gil: state,
    queue: memory,
    index: threads.length,
    workerClass: runtime().worker_class,
    module: call?.module ?? '',
  };
  const thread = new Thread(PROGRAM, { workerData });
  threads.push(thread);
  starting++;
  // Idle threads do not keep a process alive that has nothing else to do.
  thread.unref();
  thread.on('message', onAnswer);
}

function onAnswer(answer: PoolAnswer): void {
  if (answer.kind === 'exit') process.exit(answer.status);
  if (answer.kind === 'short') {
    rouseForAll();
    return;
  }
  loopGil.enter();
  if (answer.kind === 'ready') starting--;
  if (answer.kind === 'ready' || answer.kind === 'idle') {
    if ((pool?.queue.length ?? 0) > 0) startMore();
    dispatch();
    return;
  }
  const pending = running.get(answer.id);
  running.delete(answer.id);
  if (pending && pending.slot >= 0) freeSlots.push(pending.slot);
  dispatch();
  if (answer.kind === 'result') {
    credit(answer.ownMs);
    pending?.timings?.push(...answer.timings);
    pending?.done(answer.value);
  } else pending?.fail(answer.error);
}
