// Directories that workers write to (caches, temporary files): a master that runs as root makes them and hands them to
// the user that its workers become, who could not. Other masters leave it to the first need. Mirrors ngx_create_paths.
import { chownSync, mkdirSync, statSync } from 'node:fs';
import type { Compiler } from './config/compile.ts';
import { errnoText } from './config/error.ts';
import { fsPath } from './http/fs-path.ts';
import type { WorkerUser } from './modules/process.ts';

const PREFIX = 'directory:';

/** The configuration needs this directory. */
export function neededDirectory(compiler: Compiler, path: string): void {
  compiler.shared(PREFIX + path, () => true);
}

/** Makes those of a configuration (given by the names of its shared things). */
export function makeDirectories(
  names: Iterable<string>,
  user: WorkerUser | undefined,
  failed: (text: string) => void,
): void {
  if (!user || process.geteuid!() !== 0) return;
  for (const name of names) if (name.startsWith(PREFIX)) make(name.slice(PREFIX.length), user, failed);
}

function make(path: string, user: WorkerUser, failed: (text: string) => void): void {
  const name = fsPath(path);
  try {
    mkdirSync(name, 0o700);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      failed(`mkdir() "${path}" failed ${errnoText(error)}`);
      return;
    }
  }
  try {
    if (statSync(name).uid !== user.uid) chownSync(name, user.uid, -1);
  } catch (error) {
    failed(`chown("${path}", ${user.uid}) failed ${errnoText(error)}`);
  }
}
