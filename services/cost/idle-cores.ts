/**
 * Whether the machine has a core that is idle. CPython's threads hand the GIL over at each system call, which costs little where they take
 * turns on a busy core, and as much again as the request itself where the next one must first be woken on an idle core: two gthread
 * workers that keep two cores busy serve not twice but three times as much as one.
 */
import { openSync, readSync } from 'node:fs';
import { availableParallelism } from 'node:os';

const EVERY_MS = 200;
const WHOLE = 1000;
// Of the first line of /proc/stat, after its name (proc_stat(5)).
const IDLE = 3;
const IOWAIT = 4;
const FIELDS = 8;

/** A function that gives how many cores were idle since it was last called, on average; undefined where the system does not tell. */
export function idleMeter(): () => number | undefined {
  let before = readTicks();
  return () => {
    const now = readTicks();
    const all = now.all - before.all;
    const idle = ((now.idle - before.idle) / all) * availableParallelism();
    before = now;
    return all > 0 ? idle : undefined;
  };
}

/**
 * Looks every 200 ms how many cores were idle, as a share of `whole`; other threads of the process see it in the word that this gives.
 * With `whole` 0 nobody looks. Where the system does not tell, the cores are idle.
 */
export function watchIdleCores(whole: number): Int32Array {
  const word = new Int32Array(new SharedArrayBuffer(4));
  word[0] = WHOLE;
  if (whole === 0) return word;
  const idle = idleMeter();
  setInterval(() => {
    Atomics.store(word, 0, Math.round(Math.min((idle() ?? whole) / whole, 1) * WHOLE));
  }, EVERY_MS).unref();
  return word;
}

/** What share of the whole was idle when last looked at, 0 to 1. */
export function idleShare(word: Int32Array): number {
  return Atomics.load(word, 0) / WHOLE;
}

let stat: number | undefined;
const line = Buffer.alloc(256);

/** Ticks of all cores together since the machine began; none where there is no /proc/stat. */
function readTicks(): { readonly idle: number; readonly all: number } {
  let bytes: number;
  try {
    stat ??= openSync('/proc/stat', 'r');
    bytes = readSync(stat, line, 0, line.length, 0);
  } catch {
    return { idle: 0, all: 0 };
  }
  const ticks = line
    .toString('latin1', 0, bytes)
    .split(/ +/, FIELDS + 1)
    .slice(1)
    .map(Number);
  return { idle: ticks[IDLE]! + ticks[IOWAIT]!, all: ticks.reduce((sum, tick) => sum + tick, 0) };
}
