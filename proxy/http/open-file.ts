// Opening and testing files for the modules that serve them, through open_file_cache where it is on, and what it means
// for the request when that fails.
import { errnoText } from '../config/error.ts';
import { coreModule } from '../modules/core-rows.ts';
import { symlinkGuard } from '../modules/disable-symlinks.ts';
import type { Exchange } from './exchange.ts';
import { type OpenFile, openNow, testNow } from './open-file-cache.ts';

export type { OpenFile };

/** Opens the file at `path` for request `r`; a directory is not opened but told. Look at `error` first. */
export function openFile(r: Exchange, path: string): OpenFile {
  const conf = coreModule.location(r.location);
  const cache = conf.open_file_cache;
  const guard = symlinkGuard(r, path);
  if (!cache) return openNow(path, guard);
  const { open_file_cache_valid: validMs, open_file_cache_min_uses: minUses, open_file_cache_errors: errors } = conf;
  return cache.get(path, validMs, minUses, errors, guard);
}

/** Says what stands at `path` without opening it. Nothing to release. */
export function testFile(r: Exchange, path: string): OpenFile {
  if (!coreModule.location(r.location).open_file_cache && !symlinkGuard(r, path)) return testNow(path);
  const file = openFile(r, path);
  file.release();
  return file;
}

/** Logs why `file` cannot be served; returns the status that says so. */
export function refuseFile(r: Exchange, file: OpenFile): number {
  let level: 'error' | 'crit' = 'error';
  let status: number;
  if (file.error === 'ENOENT' || file.error === 'ENOTDIR' || file.error === 'ENAMETOOLONG') status = 404;
  else if (file.error === 'EACCES' || file.error === 'EMLINK' || file.error === 'ELOOP') status = 403;
  else {
    level = 'crit';
    status = 500;
  }
  if (status !== 404 || coreModule.location(r.location).log_not_found) {
    r.log(level, `${file.failed} "${file.path}" failed ${errnoText(file.cause)}`);
  }
  return status;
}
