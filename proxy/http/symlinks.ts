// Opening a path without following symbolic links, or only those that belong to the owner of what they lead to. The
// path is walked a name at a time from a directory that is held open, so that nobody can put a link in its place
// between the look and the use; Node has no openat(), but Linux has /proc/self/fd. Elsewhere the names are looked at in
// turn, and that race remains. Mirrors ngx_open_file_wrapper.
import { closeSync, constants, existsSync, fstatSync, lstatSync, openSync } from 'node:fs';
import { fsPath } from './fs-path.ts';

export interface SymlinkGuard {
  /** Links are followed when they belong to the owner of what they lead to. */
  readonly allowsOwner: boolean;
  /** Length of the part of the path that may hold any links. */
  readonly from: number;
}

const HAS_PROC = process.platform === 'linux' && existsSync('/proc/self/fd');
/** Linux: a place in the tree, not to be read. Node has no name for it. */
const O_PATH = 0o10000000;
const SEARCH = constants.O_RDONLY | constants.O_NONBLOCK | (HAS_PROC ? O_PATH : 0);
const NO_FOLLOW = constants.O_NOFOLLOW;

/** A descriptor of the file at the absolute `path`. Throws system errors: ELOOP or ENOTDIR for a link. */
export function openGuarded(path: string, flags: number, guard: SymlinkGuard): number {
  const { from } = guard;
  let base = from > 0 ? path.slice(0, from) : '/';
  let directory = openSync(fsPath(base), SEARCH);
  try {
    const names = path.slice(from).split('/');
    const last = names.pop()!;
    for (const name of names) {
      if (name === '') continue;
      const next = openAt(directory, base, name, SEARCH, guard);
      closeSync(directory);
      directory = next;
      base = `${base}/${name}`;
    }
    // A trailing slash wants a directory.
    if (last === '') return openSync(fsPath(`${placeOf(directory, base)}/.`), flags);
    return openAt(directory, base, last, flags, guard);
  } finally {
    closeSync(directory);
  }
}

function placeOf(directory: number, base: string): string {
  return HAS_PROC ? `/proc/self/fd/${directory}` : base;
}

function openAt(directory: number, base: string, name: string, flags: number, guard: SymlinkGuard): number {
  const place = fsPath(`${placeOf(directory, base)}/${name}`);
  if (!guard.allowsOwner) return openSync(place, flags | NO_FOLLOW);
  const fd = openSync(place, flags);
  try {
    // The link's owner, whether or not it still is one: it may have been while it was opened.
    if (lstatSync(place).uid === fstatSync(fd).uid) return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  throw Object.assign(new Error('too many symbolic links'), { code: 'ELOOP' });
}
