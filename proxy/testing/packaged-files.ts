// What a configuration expects around it: where its relative paths start, and the files that nginx brings along and
// that may not be on this machine.
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Files of proxy/conf that stand in for nginx's own where a configuration includes them and they are not there. */
export function missingFiles(confPrefix: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const path of [`${confPrefix}mime.types`, '/etc/nginx/mime.types']) {
    if (!existsSync(path)) files.set(path, readFileSync(new URL('../conf/mime.types', import.meta.url), 'latin1'));
  }
  return files;
}

/** nginx's prefix for a file: the directory above `conf/`, as nginx is installed; else the file's own. */
export function prefixOf(confFile: string): string {
  const directory = dirname(confFile);
  return `${basename(directory) === 'conf' ? dirname(directory) : directory}/`;
}
