/**
 * What this hop knows about where a request's time went, as a Server-Timing field: queue (from X-Request-Start to the moment at
 * which a worker took it; a thread does before it has the GIL), app, cpu, gil, python (the part of cpu that the cost model has
 * spent), io, and the calls that timed() has measured, all in ms. Sent only when the request carries X-Request-Start, which a
 * proxy sets, so that a direct answer is byte for byte the original's.
 */
import { meter } from '../gil/meter.ts';
import { threadCpuMs } from '../gil/python.ts';
import type { Timing } from '../timed.ts';

/** Milliseconds since the epoch of `t=1700000000.123` (seconds), `t=1700000000123` (ms) or microseconds; NaN when it is none. */
export function requestStartMs(value: string): number {
  const number = Number(/^\s*(?:t=)?(\d+(?:\.\d+)?)\s*$/.exec(value)?.[1] ?? Number.NaN);
  if (number > 1e14) return number / 1000;
  return number > 1e11 ? number : number * 1000;
}

const NO_TOKEN = /[^!#$%&'*+\-.^_`|~0-9a-zA-Z]/g;

const now = (): number => performance.timeOrigin + performance.now();

/** The clock of one request. Costs one object and a handful of numbers. */
export class ServerTiming {
  /** What timed() has measured for this request. */
  readonly timings: Timing[] = [];
  readonly #queueMs: number;
  readonly #start: number;
  readonly #gil: number;
  readonly #io = meter.ioMs;
  readonly #python = meter.pythonMs;
  readonly #cpu = threadCpuMs();

  constructor(requestStart: string) {
    const queued = Math.max(now() - requestStartMs(requestStart), 0) || 0;
    // A thread that took the connection and then waited for the GIL, also to read the request, was no longer queueing for a worker.
    const waited = Math.min(meter.gilWaitMs - meter.gilWaitAtTakeMs, queued);
    this.#queueMs = queued - waited;
    this.#start = performance.now() - waited;
    this.#gil = meter.gilWaitMs - waited;
  }

  /** The field's value at this moment; an entry that is zero and says nothing is left out. */
  value(): string {
    const entries = [
      `queue;dur=${this.#queueMs.toFixed(1)}`,
      `app;dur=${(performance.now() - this.#start).toFixed(1)}`,
      `cpu;dur=${(threadCpuMs() - this.#cpu).toFixed(1)}`,
    ];
    const gil = meter.gilWaitMs - this.#gil;
    const io = meter.ioMs - this.#io;
    if (gil > 0) entries.push(`gil;dur=${gil.toFixed(1)}`);
    const python = meter.pythonMs - this.#python;
    if (python > 0) entries.push(`python;dur=${python.toFixed(1)}`);
    if (io > 0) entries.push(`io;dur=${io.toFixed(1)}`);
    for (const { name, ms } of this.timings) entries.push(`${name.replace(NO_TOKEN, '_')};dur=${ms.toFixed(1)}`);
    return entries.join(', ');
  }
}
