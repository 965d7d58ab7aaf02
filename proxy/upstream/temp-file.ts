// A temporary file that a response waits in while its client is slow: written at its end, read from its start, gone
// from the directory as soon as it is open. Names are nginx's: a running number spread over the levels of the path.
import { closeSync, mkdirSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import type { TempPath } from './settings.ts';

let fileNumber = 0;

/** A name that no other worker uses; its directories exist afterwards. */
export function tempFileName(path: TempPath): string {
  fileNumber = (fileNumber + 1) % 10_000_000_000;
  const number = String(fileNumber).padStart(10, '0');
  let directory = path.directory;
  let end = number.length;
  for (const level of path.levels) {
    directory += `/${number.slice(end - level, end)}`;
    end -= level;
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return `${directory}/${number}.${process.pid}`;
}

export class TempFile {
  readonly name: string;
  readonly #fd: number;
  #written = 0;
  #read = 0;

  /** Creates the file; throws system errors. */
  constructor(path: TempPath) {
    this.name = tempFileName(path);
    this.#fd = openSync(this.name, 'wx+', 0o600);
    unlinkSync(this.name);
  }

  /** Bytes in it: all that were written since it was last empty. */
  get offset(): number {
    return this.#written;
  }

  get isEmpty(): boolean {
    return this.#read === this.#written;
  }

  append(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) at += writeSync(this.#fd, chunk, at, chunk.length - at, this.#written + at);
    this.#written += chunk.length;
  }

  /** The next bytes, at most `size`. */
  take(size: number): Buffer {
    const chunk = Buffer.allocUnsafe(Math.min(size, this.#written - this.#read));
    const got = readSync(this.#fd, chunk, 0, chunk.length, this.#read);
    this.#read += got;
    if (this.#read === this.#written) this.#read = this.#written = 0;
    return got === chunk.length ? chunk : chunk.subarray(0, got);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
