// A lock between processes that costs two system calls: a FIFO with one byte in it. Who reads the byte holds the lock,
// who writes it back gives it up. A holder that was killed takes the byte with it; who has waited for much longer than
// anybody holds a lock goes on without it, and gives back a fresh one. Two fresh ones melt into one at the next turn.
import { constants, openSync, readSync, writeSync } from 'node:fs';

/** Nobody holds a lock for longer than some microseconds, or than the machine takes to run it again. */
const LOST_MS = 50;
/** A pause too short to be felt. */
const PAUSE_MS = 0.1;

const pause = new Int32Array(new SharedArrayBuffer(4));
const TOKEN = Buffer.from([1]);
const taken = Buffer.alloc(8);

export class SharedLock {
  readonly #fd: number;

  /** Opens a FIFO, and keeps it open: its byte lives as long as anybody does. */
  constructor(path: string) {
    this.#fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  }

  /** Waits until the lock is free and takes it. It may not be held twice. */
  take(): void {
    let sinceMs = 0;
    for (let tries = 0; ; tries++) {
      try {
        readSync(this.#fd, taken, 0, taken.length, null);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      }
      if (tries < 2) continue;
      const now = performance.now();
      if (sinceMs === 0) sinceMs = now;
      else if (now - sinceMs > LOST_MS) return;
      Atomics.wait(pause, 0, 0, PAUSE_MS);
    }
  }

  /** Gives it back; also makes a new FIFO's first one. */
  give(): void {
    writeSync(this.#fd, TOKEN, 0, 1, null);
  }
}
