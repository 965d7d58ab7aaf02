// The directory of the zones that worker processes share: the master makes it before its first worker, for the user
// that the workers become, and takes it away when it ends. Its name reaches the workers in their environment.
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkerUser } from './modules/process.ts';

const VARIABLE = 'PORTICO_ZONES';
const PREFIX = 'portico-zones-';

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
  if (user && process.geteuid!() === 0) chownSync(path, user.uid, user.gid);
  process.env[VARIABLE] = path;
  process.on('exit', () => rmSync(path, { recursive: true, force: true }));
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
