// Makes starts short, of which a running proxy has two in a row, the master's and a worker's: keeps compiled code between
// them, and finds modules without asking the file system about each. The cache lies in the usual place of such things,
// node_modules/.cache, never beside the user's files; where that cannot be written there is none.
import { existsSync } from 'node:fs';
import { enableCompileCache, flushCompileCache, registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

/** To be called before the modules that are worth keeping are imported. */
export function useCompileCache(): void {
  findModules();
  if (process.env['NODE_COMPILE_CACHE'] !== undefined || process.env['NODE_DISABLE_COMPILE_CACHE'] !== undefined)
    return;
  // The repository's own node_modules, else the one that the package is installed in.
  for (const candidate of ['../node_modules/', '../../node_modules/', '../../../../node_modules/']) {
    const modules = fileURLToPath(new URL(candidate, import.meta.url));
    if (!existsSync(modules)) continue;
    const directory = `${modules}.cache/portico`;
    enableCompileCache(directory);
    // A process that this one starts has the cache from its first module on, and needs no compiler of TypeScript then.
    process.env['NODE_COMPILE_CACHE'] = directory;
    return;
  }
}

/** Writes what was compiled so far. A process that gives up its privileges cannot do so at its end. */
export function keepCompiled(): void {
  flushCompileCache();
}

/** An import of one of our modules by another names the file as it is: nothing is left to look up. */
function findModules(): void {
  const ours = new URL('./', import.meta.url).href;
  const isSource = import.meta.url.endsWith('.ts');
  const [extension, format] = isSource ? ['.ts', 'module-typescript'] : ['.js', 'module'];
  registerHooks({
    resolve(specifier, context, next) {
      const { parentURL } = context;
      if (!specifier.startsWith('.') || !specifier.endsWith(extension) || !parentURL?.startsWith(ours))
        return next(specifier, context);
      return { url: new URL(specifier, parentURL).href, format, shortCircuit: true };
    },
  });
}
