/**
 * The master's pid file: created with care for another master that may be running, removed only by its owner. Mirrors
 * gunicorn/pidfile.py.
 */
import { readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { reprString } from '../python-repr.ts';

function ownerOf(file: string): number | null {
  let pid: number;
  try {
    pid = Number.parseInt(readFileSync(file, 'latin1'), 10);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  if (!(pid > 0)) return null;
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? pid : null;
  }
}

/** One pid file. */
export class Pidfile {
  readonly #file: string;

  /** Writes the file. Throws Error in Gunicorn's words when a live process owns it, or its directory is missing. */
  constructor(file: string) {
    this.#file = file;
    const owner = ownerOf(file);
    if (owner !== null && owner !== process.pid) {
      throw new Error(`Already running on PID ${owner} (or pid file '${file}' is stale)`);
    }
    try {
      writeFileSync(file, `${process.pid}\n`, { mode: 0o644 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw new Error(`${reprString(path.dirname(file))} doesn't exist. Can't create pidfile.`);
    }
  }

  unlink(): void {
    try {
      if (Number.parseInt(readFileSync(this.#file, 'latin1'), 10) === process.pid) unlinkSync(this.#file);
    } catch {
      // Gone already, or not ours any more.
    }
  }

  /** Moves the file, as a new master does when the old one has gone. */
  static rename(from: string, to: string): Pidfile {
    renameSync(from, to);
    return new Pidfile(to);
  }
}
