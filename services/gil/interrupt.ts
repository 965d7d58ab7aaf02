/**
 * How a blocked handler learns that it must stop: what a signal handler that raises SystemExit is in CPython. A worker says how to ask
 * (its heartbeat file is marked by the arbiter before ABRT); sleeping and computing ask now and then, between two requests nobody does.
 */
import { SystemExit } from '../http/errors.ts';

let isAborted: (() => boolean) | null = null;

/** Sets the question; null when there is nobody to ask. */
export function setAbortCheck(check: (() => boolean) | null): void {
  isAborted = check;
}

/** Throws SystemExit(1) in the handler that is running when the arbiter has lost patience with this worker. */
export function raiseIfAborted(): void {
  if (isAborted?.()) {
    isAborted = null;
    throw new SystemExit(1);
  }
}
