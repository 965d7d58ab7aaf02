/**
 * Finds and loads the application that a command line names: MODULE:NAME, where MODULE is a path (`services/apps/flask.ts`), a path
 * without extension or a dotted name (`services.apps.flask`), and NAME an attribute or, for Gunicorn, a call `create_app("x")`.
 * What can go wrong is told apart as in the originals: module missing, attribute missing, not callable, error while loading.
 */
import { existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { reprString } from './python-repr.ts';

/** The module exists but does not give an application: Gunicorn's AppImportError, exit status 4. */
export class AppImportError extends Error {
  override readonly name = 'AppImportError';
}

/** There is no such module: Python's ModuleNotFoundError, exit status 3. */
export class ModuleNotFoundError extends Error {
  override readonly name = 'ModuleNotFoundError';
}

const EXTENSIONS = ['', '.ts', '.mts', '.js', '.mjs', '.cjs'];

/** The file of a module name, looked for in each directory in turn; null when there is none. */
export function findModule(name: string, directories: readonly string[]): string | null {
  const spellings = [name, name.replace(/\.ts$/, '.js')];
  if (!name.includes('/')) spellings.push(name.replaceAll('.', '/'));
  for (const directory of directories) {
    for (const spelling of spellings) {
      for (const extension of EXTENSIONS) {
        const file = path.resolve(directory, spelling + extension);
        if (existsSync(file) && statSync(file).isFile()) return file;
      }
    }
    if (/^[@\w]/.test(name)) {
      try {
        return createRequire(path.join(path.resolve(directory), 'x.js')).resolve(name);
      } catch {
        // Not an installed package either.
      }
    }
  }
  return null;
}

/** Imports a module by name. Throws ModuleNotFoundError, or whatever the module throws. */
export async function importModule(name: string, directories: readonly string[]): Promise<Record<string, unknown>> {
  const file = findModule(name, directories);
  if (!file) throw new ModuleNotFoundError(`No module named ${reprString(name)}`);
  return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
}

function literal(text: string, whole: string): unknown {
  const word = text.trim();
  const python = { True: 'true', False: 'false', None: 'null' }[word] ?? word.replace(/^'([^'"]*)'$/, '"$1"');
  try {
    return JSON.parse(python);
  } catch {
    throw new AppImportError(`Failed to parse arguments as literal values: ${reprString(whole)}`);
  }
}

/** Loads what Gunicorn would: `uri` is MODULE, MODULE:NAME or MODULE:CALL(...). Throws as Gunicorn's import_app() does. */
export async function importGunicornApp(uri: string, directories: readonly string[]): Promise<unknown> {
  const colon = uri.indexOf(':');
  const moduleName = colon < 0 ? uri : uri.slice(0, colon);
  const target = colon < 0 ? 'application' : uri.slice(colon + 1);
  const exports = await importModule(moduleName, directories);
  const call = /^([A-Za-z_]\w*)(?:\((.*)\))?$/s.exec(target.trim());
  if (!call) throw new AppImportError(`Failed to parse ${reprString(target)} as an attribute name or function call.`);
  const name = call[1] ?? '';
  let app = exports[name];
  if (app === undefined) {
    throw new AppImportError(`Failed to find attribute ${reprString(name)} in ${reprString(moduleName)}.`);
  }
  if (call[2] !== undefined) {
    if (typeof app !== 'function') throw new AppImportError(`${reprString(name)} is not callable`);
    const args = call[2].trim() === '' ? [] : call[2].split(',').map((word) => literal(word, target));
    app = await (app as (...args: unknown[]) => unknown)(...args);
  }
  if (app === null || app === undefined)
    throw new AppImportError(`Failed to find application object: ${reprString(target)}`);
  if (typeof app !== 'function') throw new AppImportError('Application object must be callable.');
  return app;
}
