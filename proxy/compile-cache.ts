// Keeps compiled code between starts, so that a worker is up in a fraction of the time. The cache lies in the usual
// place of such things, node_modules/.cache, never beside the user's files; where that cannot be written there is none.
import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

/** To be called before the modules that are worth keeping are imported. */
export function useCompileCache(): void {
  if (process.env['NODE_COMPILE_CACHE'] !== undefined || process.env['NODE_DISABLE_COMPILE_CACHE'] !== undefined)
    return;
  // The repository's own node_modules, else the one that the package is installed in.
  for (const candidate of ['../node_modules/', '../../node_modules/', '../../../../node_modules/']) {
    const modules = fileURLToPath(new URL(candidate, import.meta.url));
    if (!existsSync(modules)) continue;
    enableCompileCache(`${modules}.cache/portico`);
    return;
  }
}
