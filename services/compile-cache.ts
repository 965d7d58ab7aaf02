/**
 * Node's compile cache for a server and all that it starts. Stripping types and compiling are most of the time in which a worker boots, and
 * a pool has many threads to start. NODE_COMPILE_CACHE says where it is kept; by default in Node's own place for it.
 */
import { accessSync, constants, mkdirSync } from 'node:fs';
import module from 'node:module';
import os from 'node:os';
import path from 'node:path';

/** Turns the cache on here, and through the environment in worker processes and threads. */
export function useCompileCache(): void {
  const directory = process.env['NODE_COMPILE_CACHE'] ?? path.join(os.tmpdir(), 'node-compile-cache');
  try {
    mkdirSync(directory, { recursive: true });
    accessSync(directory, constants.W_OK);
  } catch {
    // Nowhere to keep it: everything works without, only slower.
    return;
  }
  module.enableCompileCache(directory);
  process.env['NODE_COMPILE_CACHE'] = directory;
}
