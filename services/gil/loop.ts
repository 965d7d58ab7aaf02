/**
 * The GIL on an event loop: the loop's thread holds it while it runs Python, and drops it while it waits for events. Node has no hook
 * around its wait, so the lock is taken by the first callback of a turn and dropped in the turn's check phase.
 * Without other threads there is nobody to contend with, and nothing is done.
 */
import type { Gil } from './gil.ts';
import { meter } from './meter.ts';

/** The lock of this process's event loop. */
class LoopGil {
  #gil: Gil | null = null;

  /** From now on the loop contends for this lock. */
  use(gil: Gil): void {
    this.#gil = gil;
  }

  /** Called first in every callback that runs Python code. */
  enter(): void {
    const gil = this.#gil;
    if (gil === null || gil.isHeld) return;
    meter.gilWaitAtTakeMs = meter.gilWaitMs;
    gil.acquire();
    setImmediate(() => gil.release());
  }
}

/** One a process, since there is one loop a process. */
export const loopGil = new LoopGil();

/** asyncio.sleep(): waits without blocking; what comes after it runs under the lock again. */
export function asyncSleep(ms: number): Promise<void> {
  return new Promise((done) => {
    setTimeout(() => {
      loopGil.enter();
      done();
    }, ms);
  });
}
