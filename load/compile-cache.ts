// Node's compile cache: stripping types and compiling are most of the time in which the generator and its threads start.
// NODE_COMPILE_CACHE says where it is kept; by default in the system's temporary directory.
import { mkdirSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Turns the cache on here, and through the environment in what is started. Without a place to keep it, does nothing. */
export function useCompileCache(): void {
  const directory = process.env['NODE_COMPILE_CACHE'] ?? join(tmpdir(), 'node-compile-cache');
  try {
    mkdirSync(directory, { recursive: true });
  } catch {
    return;
  }
  enableCompileCache(directory);
  process.env['NODE_COMPILE_CACHE'] = directory;
}
