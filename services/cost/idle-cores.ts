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

/**
 * Looks every 200 ms how many cores were idle, if `isOn`; in the memory that it gives, other threads of the process see it. Where the
 * system does not tell, a core is idle.
 */
export function idleCores(isOn: boolean): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(4);
  const word = new Int32Array(memory);
  word[0] = WHOLE;
  if (!isOn || process.platform !== 'linux') return memory;
  const cores = availableParallelism();
  let before = readTicks();
  setInterval(() => {
    const now = readTicks();
    // 0 where the system does not count.
    const all = now.all - before.all;
    if (all > 0) {
      const idle = ((now.idle - before.idle) / all) * cores;
      Atomics.store(word, 0, Math.round(Math.min(idle, 1) * WHOLE));
    }
    before = now;
  }, EVERY_MS).unref();
  return memory;
}

/** How much of one core was idle when last looked at, 0 to 1; more than one is one. */
export function idleShare(memory: SharedArrayBuffer): number {
  return Atomics.load(new Int32Array(memory), 0) / WHOLE;
}

let stat: number | undefined;
const line = Buffer.alloc(256);

/** Ticks of all cores together since the machine began; none where they cannot be read. */
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
