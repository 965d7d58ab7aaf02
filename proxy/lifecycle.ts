// What modules want to do when the process that serves starts, reopens its logs or ends: buffered logs are flushed,
// timers and zones set up. Modules push functions here when they are imported or a configuration is read; worker.ts
// and single.ts call them, master-workers.ts what concerns workers that ended.
import type { WorkerPlace } from './worker-place.ts';

type Act = () => void;

export const lifecycle = {
  /** The process is about to serve; called for each configuration that it serves. */
  start: new Set<Act>(),
  /** USR1: log files move on to fresh files. */
  reopen: new Set<Act>(),
  /** The last moment before the process ends: write out what is held back, synchronously. */
  exit: new Set<Act>(),
  /** In the master: a worker ended, one way or another. */
  workerEnded: new Set<(place: WorkerPlace) => void>(),
  /** In the master: the last worker of a configuration that is no longer in force ended. */
  cycleEnded: new Set<(cycle: number) => void>(),
};

/** Calls every function of one kind; one that throws does not keep the others from running. */
export function runAll(acts: Iterable<Act>, failed: (error: unknown) => void): void {
  for (const act of acts) {
    try {
      act();
    } catch (error) {
      failed(error);
    }
  }
}
