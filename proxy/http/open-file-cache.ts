// Files as the file system has them, and open_file_cache, which keeps their descriptors. All calls are blocking, as
// nginx's are: what is served from disk is in the page cache, and a thread pool would cost more than it saves. Mirrors
// ngx_open_file_cache.c without its optional kernel events.
import { closeSync, constants, fstatSync, openSync, type Stats, statSync } from 'node:fs';
import { fsPath } from './fs-path.ts';
import { openGuarded, type SymlinkGuard } from './symlinks.ts';

/** What a path turned out to be. A regular file that was opened must be given back with `release`. */
export class OpenFile {
  readonly path: string;
  fd = -1;
  sizeBytes = 0;
  /** Bytes in front of what is to be sent, not counted in `sizeBytes` (the head of a cache file). */
  skipBytes = 0;
  /** Unix seconds. */
  mtime = 0;
  isDir = false;
  isFile = false;
  /** The error's code (`ENOENT`), or ''. */
  error = '';
  /** The call that failed, as nginx names it. */
  failed = '';
  cause: unknown;
  /** Set when a cache holds this file. */
  entry: CachedFile | undefined;

  constructor(path: string) {
    this.path = path;
  }

  take(stats: Stats): void {
    this.sizeBytes = stats.size;
    this.mtime = Math.floor(stats.mtimeMs / 1000);
    this.isDir = stats.isDirectory();
    this.isFile = stats.isFile();
  }

  fail(call: string, cause: unknown): void {
    this.failed = call;
    this.cause = cause;
    this.error = (cause as { code?: string }).code ?? 'EIO';
  }

  /** Closes the file, or gives it back to the cache. May be called twice. */
  release(): void {
    const { entry, fd } = this;
    this.entry = undefined;
    this.fd = -1;
    if (entry) entry.release();
    else if (fd >= 0) closeSync(fd);
  }
}

const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/** Opens without a cache. */
export function openNow(path: string, guard?: SymlinkGuard): OpenFile {
  const file = new OpenFile(path);
  try {
    file.fd = guard ? openGuarded(path, FLAGS, guard) : openSync(fsPath(path), FLAGS);
  } catch (error) {
    file.fail(guard ? 'openat()' : 'open()', error);
    return file;
  }
  try {
    file.take(fstatSync(file.fd));
  } catch (error) {
    file.fail('fstat()', error);
  }
  if (file.isDir || file.error !== '') {
    closeSync(file.fd);
    file.fd = -1;
  }
  return file;
}

/** Looks without a cache. */
export function testNow(path: string): OpenFile {
  const file = new OpenFile(path);
  try {
    const stats = statSync(fsPath(path), { throwIfNoEntry: false });
    if (stats) file.take(stats);
    else file.fail('stat()', { code: 'ENOENT' });
  } catch (error) {
    file.fail('stat()', error);
  }
  return file;
}

/** A file that open_file_cache remembers: its descriptor, or that it is a directory, or the error. */
class CachedFile {
  readonly cache: OpenFileCache;
  /** Its path, and how it was opened. */
  readonly key: string;
  readonly guard: SymlinkGuard | undefined;
  file: OpenFile;
  minUses: number;
  users = 0;
  uses = 1;
  createdMs: number;
  accessedMs: number;
  /** No longer in the cache: closed by its last user. */
  isGone = false;

  constructor(cache: OpenFileCache, key: string, guard: SymlinkGuard | undefined, file: OpenFile, minUses: number) {
    this.cache = cache;
    this.key = key;
    this.guard = guard;
    this.file = file;
    this.minUses = minUses;
    this.createdMs = this.accessedMs = Date.now();
  }

  release(): void {
    this.users--;
    if (this.users === 0 && (this.isGone || this.uses < this.minUses)) this.close();
    this.cache.expire(1);
  }

  close(): void {
    if (this.file.fd >= 0) closeSync(this.file.fd);
    this.file.fd = -1;
  }
}

/** `open_file_cache max=N inactive=time`: one for each place in the configuration that says so, in each worker. */
export class OpenFileCache {
  readonly max: number;
  readonly inactiveMs: number;
  /** Least recently used first. */
  readonly #entries = new Map<string, CachedFile>();

  constructor(max: number, inactiveMs: number) {
    this.max = max;
    this.inactiveMs = inactiveMs;
  }

  get(path: string, validMs: number, minUses: number, keepsErrors: boolean, guard?: SymlinkGuard): OpenFile {
    const now = Date.now();
    const key = guard ? `${path}\0${guard.allowsOwner} ${guard.from}` : path;
    const entry = this.#entries.get(key);
    if (entry) {
      entry.uses++;
      entry.minUses = minUses;
      this.#entries.delete(key);
      this.#entries.set(key, entry);
      const isOpen = entry.file.fd >= 0 || entry.file.isDir || entry.file.error !== '';
      if (!isOpen || now - entry.createdMs >= validMs) return this.#renew(entry, now, keepsErrors);
      entry.accessedMs = now;
      return this.#lend(entry);
    }
    const file = openNow(path, guard);
    if (file.error !== '' && !keepsErrors) return file;
    if (this.#entries.size >= this.max) this.expire(0);
    return this.#lend(this.#add(key, guard, file, minUses));
  }

  #add(key: string, guard: SymlinkGuard | undefined, file: OpenFile, minUses: number): CachedFile {
    const entry = new CachedFile(this, key, guard, file, minUses);
    this.#entries.set(key, entry);
    return entry;
  }

  /** Looks again; a file that is still the same one keeps its descriptor. */
  #renew(entry: CachedFile, now: number, keepsErrors: boolean): OpenFile {
    const fresh = openNow(entry.file.path, entry.guard);
    if (fresh.error !== '' && !keepsErrors) {
      this.#drop(entry);
      return fresh;
    }
    let renewed = entry;
    if (entry.users > 0) {
      this.#drop(entry);
      renewed = this.#add(entry.key, entry.guard, fresh, entry.minUses);
      renewed.uses = entry.uses;
    } else {
      entry.close();
      entry.file = fresh;
      entry.createdMs = entry.accessedMs = now;
    }
    return this.#lend(renewed);
  }

  #lend(entry: CachedFile): OpenFile {
    const copy = Object.assign(new OpenFile(entry.file.path), entry.file);
    if (copy.fd >= 0) {
      entry.users++;
      copy.entry = entry;
    }
    return copy;
  }

  #drop(entry: CachedFile): void {
    this.#entries.delete(entry.key);
    entry.isGone = true;
    if (entry.users === 0) entry.close();
  }

  /** Forgets up to two of the oldest entries; with `n` = 0 the oldest one even when it was used lately. */
  expire(n: number): void {
    const now = Date.now();
    let left = n;
    for (const entry of this.#entries.values()) {
      if (left >= 2) return;
      if (left++ !== 0 && now - entry.accessedMs <= this.inactiveMs) return;
      this.#drop(entry);
    }
  }

  /** Closes what nobody uses. */
  clear(): void {
    for (const entry of [...this.#entries.values()]) this.#drop(entry);
  }
}
