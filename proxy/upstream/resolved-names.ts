// What the names of upstreams were resolved to, for the other workers and for those who come after: the workers of a new configuration begin with
// the addresses that the old ones had, and so serve even while DNS does not answer. Kept in the zones' directory where
// there are worker processes, in memory where there is one process. Mirrors ngx_http_upstream_zone_preresolve.
import { createHash } from 'node:crypto';
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zoneDirectory } from '../zone-directory.ts';
import type { ServerAddress } from './upstream.ts';

/** Addresses of a name, and until when (ms since 1970) they hold. */
export interface ResolvedName {
  readonly addresses: readonly ServerAddress[];
  readonly validUntilMs: number;
}

const inMemory = new Map<string, ResolvedName>();

/** Keeps an answer under `key`; later ones replace it. */
export function rememberName(key: string, resolved: ResolvedName): void {
  inMemory.set(key, resolved);
  const path = pathOf(key);
  if (!path) return;
  try {
    const fresh = `${path}.${process.pid}`;
    writeFileSync(fresh, JSON.stringify(resolved));
    renameSync(fresh, path);
  } catch {
    // The next worker asks for itself.
  }
}

/** The last answer under `key`. */
export function recallName(key: string): ResolvedName | undefined {
  const path = pathOf(key);
  if (path) {
    try {
      return JSON.parse(readFileSync(path, 'utf8')) as ResolvedName;
    } catch {
      // Nobody has resolved it yet.
    }
  }
  return inMemory.get(key);
}

/** What tells the answers under `key` apart that workers give each other; undefined: there is none, or no other worker. */
export function nameMark(key: string): string | undefined {
  const path = pathOf(key);
  const stats = path && statSync(path, { throwIfNoEntry: false });
  return stats ? `${stats.ino} ${stats.mtimeMs}` : undefined;
}

function pathOf(key: string): string | undefined {
  const directory = zoneDirectory();
  return directory && join(directory, `name-${createHash('sha1').update(key).digest('hex')}`);
}
