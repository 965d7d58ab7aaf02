/**
 * The heartbeat of one worker: an unlinked file that the worker touches and the arbiter looks at, as gunicorn/workers/workertmp.py has
 * it. It works while both sides are blocked elsewhere, and it disappears with the last of them. The arbiter also marks it when it gives
 * up on the worker, which a handler that sleeps or computes can see although no signal handler can run.
 */
import { closeSync, existsSync, fchmodSync, fstatSync, futimesSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const ABORTED = 0o040;

/** CLOCK_MONOTONIC in seconds: the same clock in both processes. */
export function monotonicSeconds(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1e6;
}

// A container with a read-only root may have no writable /tmp, but it has shared memory.
function makeDirectory(directory: string | null): string {
  const prefix = (parent: string): string => path.join(parent, 'wgunicorn-');
  if (directory !== null) return mkdtempSync(prefix(directory));
  try {
    return mkdtempSync(prefix(os.tmpdir()));
  } catch (error) {
    if (!existsSync('/dev/shm')) throw error;
    return mkdtempSync(prefix('/dev/shm'));
  }
}

/** One heartbeat file, by its descriptor; the arbiter makes it, the worker inherits it. */
export class Heartbeat {
  readonly fd: number;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Makes the file in a directory of its own, and removes both names at once. Throws when the directory cannot be written. */
  static create(directory: string | null): Heartbeat {
    const home = makeDirectory(directory);
    const file = path.join(home, 'heartbeat');
    const heartbeat = new Heartbeat(openSync(file, 'wx+', 0o600));
    rmSync(home, { recursive: true });
    heartbeat.notify();
    return heartbeat;
  }

  /** The worker is alive. One system call. */
  notify(): void {
    const now = monotonicSeconds();
    futimesSync(this.fd, now, now);
  }

  /** Seconds since the last notify. */
  silentSeconds(): number {
    return monotonicSeconds() - fstatSync(this.fd).mtimeMs / 1000;
  }

  markAborted(): void {
    fchmodSync(this.fd, 0o600 | ABORTED);
  }

  get isAborted(): boolean {
    return (fstatSync(this.fd).mode & ABORTED) !== 0;
  }

  close(): void {
    closeSync(this.fd);
  }
}
