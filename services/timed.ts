/**
 * timed(fn), the timing decorator: a function that wraps a function. Each call prints how long it took, as Python programs print it, and
 * stands in the Server-Timing field of the request that it was made for, under the function's name.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { writeAll } from './log/log-file.ts';

/** One timed call of a request. */
export interface Timing {
  readonly name: string;
  readonly ms: number;
}

const ofRequest = new AsyncLocalStorage<Timing[]>();

/** Runs a request's code so that the timed calls it makes, also later in promises, are added to `timings`. */
export function collectTimings<Result>(timings: Timing[] | null, run: () => Result): Result {
  return timings === null ? run() : ofRequest.run(timings, run);
}

/** Where the timed calls of the request in hand go; null outside one, and when its Server-Timing is not sent. */
export function timingsOfRequest(): Timing[] | null {
  return ofRequest.getStore() ?? null;
}

function note(name: string, start: number): void {
  const ms = performance.now() - start;
  ofRequest.getStore()?.push({ name, ms });
  writeAll(1, `${name} took ${(ms / 1000).toFixed(4)} seconds\n`);
}

/**
 * Wraps a function so that each call prints `generate took 3.0006 seconds` when it has returned or thrown, an asynchronous one when its
 * promise is settled. The wrapper has the function's name, arguments, `this` and result.
 */
export function timed<This, Args extends readonly unknown[], Result>(
  call: (this: This, ...args: Args) => Result,
): (this: This, ...args: Args) => Result {
  const name = call.name === '' ? 'anonymous' : call.name;
  const wrapper = function (this: This, ...args: Args): Result {
    const start = performance.now();
    let isPending = false;
    try {
      const result = call.apply(this, args as never);
      if (!(result instanceof Promise)) return result;
      isPending = true;
      return result.finally(() => note(name, start)) as Result;
    } finally {
      if (!isPending) note(name, start);
    }
  };
  return Object.defineProperty(wrapper, 'name', { value: call.name });
}
