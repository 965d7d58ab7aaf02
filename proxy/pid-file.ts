// The pid file: written whole or not at all, because whoever waits for it reads it at once.
import { closeSync, openSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { ConfigError, errnoText } from './config/error.ts';

/** Writes this process's id. Throws a ConfigError in nginx's words. */
export function writePidFile(path: string): void {
  const fresh = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(fresh, `${process.pid}\n`, { mode: 0o644 });
    renameSync(fresh, path);
  } catch (error) {
    throw new ConfigError(`open() "${path}" failed ${errnoText(error)}`);
  }
}

/** `-t`: whether the file could be written; it is created empty when it is not there, as nginx does. */
export function testPidFile(path: string): void {
  try {
    closeSync(openSync(path, 'a', 0o644));
  } catch (error) {
    throw new ConfigError(`open() "${path}" failed ${errnoText(error)}`);
  }
}

/** Removes the file; returns what went wrong. */
export function removePidFile(path: string): string | undefined {
  try {
    unlinkSync(path);
    return undefined;
  } catch (error) {
    return `unlink() "${path}" failed ${errnoText(error)}`;
  }
}
