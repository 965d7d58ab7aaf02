/**
 * One worker of an experiment, a thread or a process: says that it is ready, waits for the word, does its jobs, and says what it saw.
 * Jobs run under the lock that the order names, as Python code would, with a checkpoint where the interpreter has one.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { Gil } from '../gil/gil.ts';
import { setGil, sleep, threadCpuMs } from '../gil/python.ts';
import { ARRIVED, INSIDE, type JobMessage, type JobStart, MOST_INSIDE, REFERENCES } from './job-order.ts';

const STEPS_BETWEEN_CHECKPOINTS = 100_000;
const UPDATES_BETWEEN_CHECKPOINTS = 1000;

let sink = 0;

/** The steps between two checkpoints: nobody else may be in here while there is a lock. */
function interpret(words: Int32Array | null): void {
  const inside = words ? Atomics.add(words, INSIDE, 1) + 1 : 0;
  if (words && inside > Atomics.load(words, MOST_INSIDE)) Atomics.store(words, MOST_INSIDE, inside);
  for (let n = 0; n < STEPS_BETWEEN_CHECKPOINTS; n++) sink = (sink * 31 + n) | 0;
  if (words) Atomics.sub(words, INSIDE, 1);
}

function compute(ms: number, gil: Gil | null, words: Int32Array | null): void {
  const end = threadCpuMs() + ms;
  while (threadCpuMs() < end) {
    interpret(words);
    gil?.checkpoint();
  }
}

/** Takes references: reads the count, adds one, writes it back, as Py_INCREF does. */
function takeReferences(updates: number, isAtomic: boolean, gil: Gil | null, words: Int32Array): void {
  for (let done = 0; done < updates; done += UPDATES_BETWEEN_CHECKPOINTS) {
    for (let n = 0; n < UPDATES_BETWEEN_CHECKPOINTS; n++) {
      if (isAtomic) Atomics.add(words, REFERENCES, 1);
      else words[REFERENCES] = (words[REFERENCES] as number) + 1;
    }
    gil?.checkpoint();
  }
}

/** Lets nobody begin before all have arrived: work that is over before the next thread has woken up meets nobody. */
function arrive(words: Int32Array, workers: number): void {
  Atomics.add(words, ARRIVED, 1);
  Atomics.notify(words, ARRIVED);
  for (let here = Atomics.load(words, ARRIVED); here < workers; here = Atomics.load(words, ARRIVED)) {
    Atomics.wait(words, ARRIVED, here);
  }
}

function work({ order, gil: state, index, workers, shared }: JobStart): void {
  const words = shared ? new Int32Array(shared) : null;
  const gil = state ? new Gil(state, index + 1) : null;
  setGil(gil);
  if (words) arrive(words, workers);
  gil?.acquire();
  try {
    if (order.kind === 'refcount') takeReferences(order.updates, order.isAtomic, gil, words as Int32Array);
    else
      for (let job = 0; job < order.count; job++) {
        if (order.kind === 'cpu') compute(order.ms, gil, words);
        else sleep(order.ms);
      }
  } finally {
    gil?.release();
  }
}

function serve(start: JobStart, onGo: (go: () => void) => void, tell: (message: JobMessage) => void): void {
  onGo(() => {
    work(start);
    tell('done');
  });
  tell('ready');
}

if (!isMainThread && parentPort) {
  const port = parentPort;
  serve(
    workerData as JobStart,
    (go) => port.once('message', go),
    (message) => port.postMessage(message),
  );
} else if (process.send) {
  process.once('message', (start: JobStart) => {
    serve(
      start,
      (go) => process.once('message', go),
      (message) => process.send?.(message, () => message === 'done' && process.disconnect?.()),
    );
  });
}
