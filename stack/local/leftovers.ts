// Ends processes that a stack left on record: for `down` when its `up` is gone, for the next `up` after a kill -9, and for
// the watchdog. It signals only processes whose pid and start time both match, in reverse of the starting order, each
// with its own stop signal and grace, then kills what is left of the process group.
import { setTimeout as delay } from 'node:timers/promises';
import { identify, isRunning, type ProcessIdentity, signal } from './process-identity.ts';

/** What is needed to end one process as its service wants to be ended. */
export interface Leftover {
  name: string;
  process: ProcessIdentity;
  stopSignal: NodeJS.Signals;
  stopGraceMs: number;
}

const POLL_MS = 20;

/** Ends all of `leftovers`, the last one first; gives the names of those that were still running. */
export async function endLeftovers(leftovers: readonly Leftover[]): Promise<string[]> {
  const ended: string[] = [];
  for (const leftover of [...leftovers].reverse()) {
    const leader = identify(leftover.process.pid);
    // The pid is another process's now: its group is not ours either.
    if (leader !== undefined && leader.startTime !== leftover.process.startTime) continue;
    if (leader !== undefined) {
      ended.push(leftover.name);
      signal(leftover.process, leftover.stopSignal);
      const deadline = Date.now() + leftover.stopGraceMs;
      while (isRunning(leftover.process) && Date.now() < deadline) await delay(POLL_MS);
    }
    // While members remain, the kernel gives the group's number to nobody else, so this reaches only our own.
    signal(leftover.process, 'SIGKILL', 'group');
    while (isRunning(leftover.process)) await delay(POLL_MS);
  }
  return ended;
}
