/**
 * Where a log's lines go: a file or a standard stream, written whole and at once, so that the lines of several processes do not mix.
 * Blocking, as Python's logging is. Reopens by path, which is what USR1 asks for.
 */
import { closeSync, openSync, writeSync } from 'node:fs';

const pause = new Int32Array(new SharedArrayBuffer(4));

/** Writes all of `text` to a descriptor, waiting when it is a full pipe; gives up silently when nobody reads any more. */
export function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(pause, 0, 0, 2);
    }
  }
}

/** One log destination: `-` is the standard stream given, anything else a file that is appended to. Throws when it cannot open. */
export class LogFile {
  readonly path: string;
  #fd: number;

  constructor(path: string, standardFd: number) {
    this.path = path;
    this.#fd = path === '-' ? standardFd : openSync(path, 'a', 0o644);
  }

  get fd(): number {
    return this.#fd;
  }

  write(line: string): void {
    writeAll(this.#fd, `${line}\n`);
  }

  reopen(): void {
    if (this.path === '-') return;
    const next = openSync(this.path, 'a', 0o644);
    closeSync(this.#fd);
    this.#fd = next;
  }

  close(): void {
    if (this.path !== '-') closeSync(this.#fd);
  }
}
