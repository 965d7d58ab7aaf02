/**
 * Loads what Uvicorn would serve: MODULE:ATTRIBUTE, an app or, with --factory, a function that gives one. Errors in its words.
 */

import { findModule, importModule } from './app-import.ts';
import type { AsgiApp } from './asgi.ts';
import type { UvicornSettings } from './settings/uvicorn-settings.ts';

/** Where loading errors go. */
export interface LoadLog {
  error(message: string): void;
  warning(message: string): void;
}

/** The application, or null when it cannot be had; why was logged. Rethrows what the module itself throws. */
export async function loadAsgiApp(uri: string, settings: UvicornSettings, log: LoadLog): Promise<AsgiApp | null> {
  const colon = uri.lastIndexOf(':');
  const moduleName = colon < 0 ? '' : uri.slice(0, colon);
  const attributes = colon < 0 ? '' : uri.slice(colon + 1);
  const refuse = (text: string): null => {
    log.error(`Error loading ASGI app. ${text}`);
    return null;
  };
  if (moduleName === '' || attributes === '') {
    return refuse(`Import string "${uri}" must be in format "<module>:<attribute>".`);
  }
  const directories = [settings.app_dir || process.cwd()];
  if (!findModule(moduleName, directories)) return refuse(`Could not import module "${moduleName}".`);
  let found: unknown = await importModule(moduleName, directories);
  for (const name of attributes.split('.')) {
    found = (found as Record<string, unknown> | null)?.[name];
    if (found === undefined) return refuse(`Attribute "${attributes}" not found in module "${moduleName}".`);
  }
  if (settings.factory) {
    if (typeof found !== 'function') {
      log.error(`Error loading ASGI app factory: '${typeof found}' object is not callable`);
      return null;
    }
    found = await (found as () => unknown)();
  }
  if (typeof found !== 'function') return refuse(`"${uri}" is not callable.`);
  if (!settings.factory && found.length === 0 && found.constructor.name !== 'AsyncFunction') {
    log.warning('ASGI app factory detected. Using it, but please consider setting the --factory flag explicitly.');
    return (await (found as () => unknown)()) as AsgiApp;
  }
  return found as AsgiApp;
}
