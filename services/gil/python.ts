/**
 * What Python code does to a server, as functions that applications call: blocking sleep, work in the interpreter, work in native code.
 * Each behaves towards the GIL as its original does. Work is measured in CPU time of the calling thread, not in wall time, so that
 * contention slows it down as it slows the real thing.
 */
import { createHash } from 'node:crypto';
import type { Gil } from './gil.ts';
import { raiseIfAborted } from './interrupt.ts';
import { meter } from './meter.ts';

const never = new Int32Array(new SharedArrayBuffer(4));
const SLICE_MS = 50;
const BLOCK = Buffer.alloc(256 * 1024);

let gil: Gil | null = null;

/** Says which lock the code on this thread runs under; null when there is none, as in a sync worker. */
export function setGil(lock: Gil | null): void {
  gil = lock;
}

/** Runs a blocking call or native code with the GIL dropped, if there is one. */
export function allowThreads<Result>(call: () => Result): Result {
  return gil ? gil.allowThreads(call) : call();
}

/** CPU time of this thread so far, in ms. */
export function threadCpuMs(): number {
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
  const end = threadCpuMs() + ms;
  for (let round = 1; threadCpuMs() < end; round++) {
    for (let step = 0; step < 20; step++) {
      for (let n = 0; n < 1000; n++) sink = (sink * 31 + n) | 0;
      gil?.checkpoint();
    }
    if (round % 200 === 0) raiseIfAborted();
  }
}

/** Uses that much CPU time in C: hashes blocks, as hashlib does, with the GIL dropped, so that it is parallel to other threads. */
export function native(ms: number): void {
  allowThreads(() => {
    const end = threadCpuMs() + ms;
    while (threadCpuMs() < end) createHash('sha256').update(BLOCK).digest();
  });
}

/** Uses that much CPU time in C code that does not drop the GIL: everything else in the process stands still. */
export function nativeHoldingGil(ms: number): void {
  const end = threadCpuMs() + ms;
  while (threadCpuMs() < end) createHash('sha256').update(BLOCK).digest();
}
