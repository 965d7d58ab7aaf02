/**
 * What Python code does to a server, as functions that applications call: blocking sleep, work in the interpreter, work in native code.
 * Each behaves towards the GIL as its original does. Work is measured in CPU time of the calling thread, not in wall time, so that
 * contention slows it down as it slows the real thing.
 */
import type { Gil } from './gil.ts';
import { raiseIfAborted } from './interrupt.ts';
import { meter } from './meter.ts';

const never = new Int32Array(new SharedArrayBuffer(4));
const SLICE_MS = 50;
const ABORT_EVERY_MS = 10;
const BLOCK = Buffer.alloc(256 * 1024);

let gil: Gil | null = null;
let heldByNative: Int32Array | null = null;

/** Says which lock the code on this thread runs under; null when there is none, as in a sync worker. */
export function setGil(lock: Gil | null): void {
  gil = lock;
}

/** Says where another thread can see that this one is inside native code that keeps the GIL, when there is no lock to wait for. */
export function showHeldGil(word: Int32Array): void {
  heldByNative = word;
}

/** Runs a blocking call or native code with the GIL dropped, if there is one. */
export function allowThreads<Result>(call: () => Result): Result {
  return gil ? gil.allowThreads(call) : call();
}

/**
 * CPU time of this thread so far, in ms, to the microsecond. Linux brings a thread's time up to date only at its ticks, 4 ms apart; asking
 * for the process's brings the asking thread's up to date first.
 */
export function threadCpuMs(): number {
  process.cpuUsage();
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** time.sleep(): blocks this thread, GIL dropped. Throws SystemExit when the arbiter gives up on the worker meanwhile. */
export function sleep(ms: number): void {
  const start = performance.now();
  const end = start + ms;
  for (let left = ms; left > 0; left = end - performance.now()) {
    allowThreads(() => Atomics.wait(never, 0, 0, Math.min(left, SLICE_MS)));
    if (ms > SLICE_MS) raiseIfAborted();
  }
  meter.ioMs += performance.now() - start;
}

let sink = 0;

/** Uses that much CPU time in the interpreter: holds the GIL, and hands it over at checkpoints when another thread asks. */
export function burn(ms: number): void {
  const start = threadCpuMs();
  interpretUntil(start + ms);
  meter.workMs += threadCpuMs() - start;
}

/** Interprets until this thread has used so much CPU time (threadCpuMs), as burn() does but charged to nobody. */
export function interpretUntil(end: number): void {
  let asked = threadCpuMs();
  for (let now = asked; now < end; now = threadCpuMs()) {
    // Near the end it looks at the clock more often: small amounts must be exact, large ones cheap.
    const steps = Math.max(1, Math.min(20, Math.floor((end - now) * 200)));
    for (let step = 0; step < steps; step++) {
      for (let n = 0; n < 1000; n++) sink = (sink * 31 + n) | 0;
      gil?.checkpoint();
    }
    if (now - asked < ABORT_EVERY_MS) continue;
    asked = now;
    raiseIfAborted();
  }
}

/**
 * Uses that much CPU time in C: hashes blocks, as hashlib does, with the GIL dropped around each of them, so that it is parallel to other
 * threads but for the instant between two blocks. Where one of them computes, that instant can be a switch interval: the convoy effect.
 */
export function native(ms: number): void {
  hashFor(ms, allowThreads);
}

/** Uses that much CPU time in C code that does not drop the GIL: everything else in the process stands still. */
export function nativeHoldingGil(ms: number): void {
  if (heldByNative) Atomics.store(heldByNative, 0, 1);
  try {
    hashFor(ms, (call) => call());
  } finally {
    if (heldByNative) {
      Atomics.store(heldByNative, 0, 0);
      Atomics.notify(heldByNative, 0);
    }
  }
}

function hashFor(ms: number, around: (call: () => void) => void): void {
  // Not an import: many threads start that never hash, and loading it is a tenth of their start.
  const { createHash } = process.getBuiltinModule('node:crypto');
  const hash = (): void => void createHash('sha256').update(BLOCK).digest();
  const start = threadCpuMs();
  const end = start + ms;
  while (threadCpuMs() < end) around(hash);
  meter.workMs += threadCpuMs() - start;
}
