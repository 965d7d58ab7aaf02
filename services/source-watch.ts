/**
 * Watching source files by their modification times: works on every file system, the mounted ones of containers included. Both servers'
 * --reload use it, between two requests.
 */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';

const SKIPPED = new Set(['node_modules', '.git', 'coverage']);
const SOURCE = /\.(?:[cm]?[jt]s|json)$/;

/** Modification times of all source files under directories. */
export function sourceTimes(directories: readonly string[], matches: (file: string) => boolean): Map<string, number> {
  const times = new Map<string, number>();
  const visit = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const file = path.join(directory, entry.name);
      if (entry.isDirectory()) {
        if (!SKIPPED.has(entry.name) && !entry.name.startsWith('.')) visit(file);
      } else if (matches(file)) times.set(file, statSync(file).mtimeMs);
    }
  };
  for (const directory of directories) visit(directory);
  return times;
}

/** Whether a file is source text of an application. */
export function isSource(file: string): boolean {
  return SOURCE.test(file);
}

/** The first file that is new or younger than it was; null when nothing has changed. */
export function changedFile(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): string | null {
  for (const [file, time] of after) if (before.get(file) !== time) return file;
  return null;
}
