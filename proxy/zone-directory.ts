// The directory of the zones that worker processes share: the master makes it before its first worker, for the user
// that the workers become, and takes it away when it ends. Its name reaches the workers in their environment. Beside the
// zones lie the locks, a few for all: a zone's name says which is its own.
import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { WorkerUser } from './modules/process.ts';
import { SharedLock } from './shared-lock.ts';

const VARIABLE = 'PORTICO_ZONES';
const PREFIX = 'portico-zones-';
const LOCKS = 16;

const lockPath = (directory: string, number: number): string => join(directory, `lock-${number}`);
const locks = new Map<number, SharedLock>();

/** Makes the directory where a configuration (given by the names of its shared things) has zones and there is none yet. */
export function shareZones(names: Iterable<string>, user: WorkerUser | undefined, warn: (text: string) => void): void {
  if (process.env[VARIABLE] !== undefined || ![...names].some((name) => name.startsWith('zone:'))) return;
  try {
    makeZoneDirectory(user);
  } catch (error) {
    warn(`zones cannot be shared, each worker process has its own: ${(error as Error).message}`);
  }
}

function makeZoneDirectory(user: WorkerUser | undefined): void {
  const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  removeLeftovers(parent);
  const path = mkdtempSync(join(parent, `${PREFIX}${process.pid}-`));
  process.on('exit', () => rmSync(path, { recursive: true, force: true }));
  const lockPaths = Array.from({ length: LOCKS }, (_, i) => lockPath(path, i));
  execFileSync('mkfifo', ['-m', '600', ...lockPaths], { stdio: 'ignore' });
  for (const [i, file] of lockPaths.entries()) {
    // The master holds it open, so that the byte in it outlives any worker.
    const lock = new SharedLock(file);
    lock.give();
    locks.set(i, lock);
  }
  if (user && process.geteuid!() === 0) for (const file of [path, ...lockPaths]) chownSync(file, user.uid, user.gid);
  process.env[VARIABLE] = path;
}

/** The lock of a zone's file. One who holds it may not ask for another zone's: it may be the same one. */
export function zoneLock(directory: string, name: string): SharedLock {
  const number = crc32(name) % LOCKS;
  let lock = locks.get(number);
  if (!lock) {
    lock = new SharedLock(lockPath(directory, number));
    locks.set(number, lock);
  }
  return lock;
}

/** Directories of masters that were killed. */
function removeLeftovers(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = name.startsWith(PREFIX) ? Number.parseInt(name.slice(PREFIX.length), 10) : Number.NaN;
    if (Number.isNaN(pid)) continue;
    try {
      process.kill(pid, 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') continue;
      try {
        rmSync(join(parent, name), { recursive: true, force: true });
      } catch {
        // Another user's.
      }
    }
  }
}

/** The directory, in a worker whose master made one. */
export function zoneDirectory(): string | undefined {
  const path = process.env[VARIABLE];
  if (path === undefined) return undefined;
  try {
    const stats = statSync(path);
    return stats.isDirectory() && stats.uid === process.geteuid!() ? path : undefined;
  } catch {
    return undefined;
  }
}

/** The directory that this master made, whoever its workers are. */
export function ownZoneDirectory(): string | undefined {
  return process.env[VARIABLE];
}
