// `open_log_file_cache`: descriptors of access logs whose path has variables, kept open between lines. Mirrors the part
// of ngx_open_file_cache that log files use: the least recently used makes room, a file is kept open once it was used
// `min_uses` times, and looked up again by name after `valid`.
import { closeSync, fstatSync, openSync, statSync, writeSync } from 'node:fs';
import { fsPath } from '../http/fs-path.ts';

interface Entry {
  /** -1: used too seldom to be kept open. */
  fd: number;
  uses: number;
  checkedMs: number;
  usedMs: number;
}

export interface LogCacheSettings {
  readonly max: number;
  readonly inactiveMs: number;
  readonly validMs: number;
  readonly minUses: number;
}

function openLog(path: string): number {
  return openSync(fsPath(path), 'a', 0o644);
}

/** Appends a line to a file that is opened for it; throws the system's error when it cannot be opened. */
export function appendOnce(path: string, line: string): void {
  const fd = openLog(path);
  try {
    writeSync(fd, Buffer.from(line, 'latin1'));
  } finally {
    closeSync(fd);
  }
}

export class LogFileCache {
  readonly #settings: LogCacheSettings;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();

  constructor(settings: LogCacheSettings) {
    this.#settings = settings;
  }

  /** Appends a line; throws the system's error when the file cannot be opened. */
  append(path: string, line: string): void {
    const now = Date.now();
    const { minUses } = this.#settings;
    const entry = this.#entries.get(path) ?? this.#add(path, now);
    entry.uses++;
    entry.usedMs = now;
    this.#entries.delete(path);
    this.#entries.set(path, entry);
    if (entry.fd >= 0 && now - entry.checkedMs >= this.#settings.validMs) this.#check(path, entry, now);
    if (entry.fd < 0) {
      entry.fd = openLog(path);
      entry.checkedMs = now;
    }
    writeSync(entry.fd, Buffer.from(line, 'latin1'));
    if (entry.uses < minUses) this.#close(entry);
    this.#expire(now);
  }

  /** A file that cannot be opened takes nobody's place. */
  #add(path: string, now: number): Entry {
    const fd = openLog(path);
    if (this.#entries.size >= this.#settings.max) {
      for (const [oldest, entry] of this.#entries) {
        this.#close(entry);
        this.#entries.delete(oldest);
        break;
      }
    }
    const entry: Entry = { fd, uses: 0, checkedMs: now, usedMs: now };
    this.#entries.set(path, entry);
    return entry;
  }

  /** Another file may have that name by now. */
  #check(path: string, entry: Entry, now: number): void {
    const named = statSync(fsPath(path), { throwIfNoEntry: false });
    const open = fstatSync(entry.fd);
    if (named?.ino === open.ino && named.dev === open.dev) entry.checkedMs = now;
    else this.#close(entry);
  }

  #expire(now: number): void {
    for (const [path, entry] of this.#entries) {
      if (now - entry.usedMs <= this.#settings.inactiveMs) return;
      this.#close(entry);
      this.#entries.delete(path);
    }
  }

  #close(entry: Entry): void {
    if (entry.fd >= 0) closeSync(entry.fd);
    entry.fd = -1;
  }
}
