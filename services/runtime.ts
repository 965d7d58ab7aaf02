/**
 * Which process, worker class and thread the calling code runs in, and how to end that process. Set once by the worker that loads the
 * application; code outside a worker sees a plain process.
 */
import os from 'node:os';

/** Where code runs. */
export interface Runtime {
  /** The container's, where there is one for each replica. */
  readonly hostname: string;
  readonly pid: number;
  readonly worker_class: string;
  readonly thread: string;
}

let workerClass = 'none';
let thread = 'MainThread';
let end: (status: number) => never = (status) => process.exit(status);

/** The runtime of the calling thread. */
export function runtime(): Runtime {
  return { hostname: os.hostname(), pid: process.pid, worker_class: workerClass, thread };
}

/** os._exit(): ends the whole process at once, from any of its threads. */
runtime.exit = (status: number): never => end(status);

/** Says what the calling thread belongs to. */
export function setRuntime(options: { workerClass: string; thread?: string; exit?: (status: number) => never }): void {
  workerClass = options.workerClass;
  thread = options.thread ?? thread;
  end = options.exit ?? end;
}
