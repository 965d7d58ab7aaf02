/**
 * Uvicorn's --reload: one worker process, restarted when a watched file changes. Looks at modification times as its StatReload does, which
 * works on every file system, the mounted ones of containers included.
 */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { bindOnce } from '../arbiter/listeners.ts';
import { SignalQueue } from '../arbiter/signal-queue.ts';
import type { UvicornLog } from '../log/uvicorn-log.ts';
import type { UvicornSettings } from '../settings/uvicorn-settings.ts';
import { WorkerProcess } from './multiprocess.ts';
import { STARTUP_FAILURE } from './serve-process.ts';

const SKIPPED = new Set(['node_modules', '.git', 'coverage']);
const SOURCE = /\.(?:[cm]?[jt]s|json)$/;

/** Modification times of all source files under directories. */
export function sourceTimes(directories: readonly string[], matches: (file: string) => boolean): Map<string, number> {
  const times = new Map<string, number>();
  const visit = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const file = path.join(directory, entry.name);
      if (entry.isDirectory()) {
        if (!SKIPPED.has(entry.name) && !entry.name.startsWith('.')) visit(file);
      } else if (matches(file)) times.set(file, statSync(file).mtimeMs);
    }
  };
  for (const directory of directories) visit(directory);
  return times;
}

/** The first file that is new or younger than it was; null when nothing has changed. */
export function changedFile(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): string | null {
  for (const [file, time] of after) if (before.get(file) !== time) return file;
  return null;
}

const glob = (pattern: string): RegExp =>
  new RegExp(
    `(?:^|/)${pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '[^/]*')
      .replaceAll('?', '[^/]')}$`,
  );

/** The parent of one restarting worker. */
export class Reload {
  readonly #app: string;
  readonly #settings: UvicornSettings;
  readonly #log: UvicornLog;

  constructor(app: string, settings: UvicornSettings, log: UvicornLog) {
    this.#app = app;
    this.#settings = settings;
    this.#log = log;
  }

  async run(): Promise<number> {
    const settings = this.#settings;
    const directories = (settings.reload_dirs.length > 0 ? settings.reload_dirs : ['.']).map((each) =>
      path.resolve(each),
    );
    const included = settings.reload_includes.map(glob);
    const excluded = settings.reload_excludes.map(glob);
    const matches = (file: string): boolean =>
      (SOURCE.test(file) || included.some((each) => each.test(file))) && !excluded.some((each) => each.test(file));
    this.#log.info(
      `Will watch for changes in these directories: [${directories.map((each) => `'${each}'`).join(', ')}]`,
    );
    const address =
      settings.uds !== null
        ? ({ kind: 'unix', path: settings.uds } as const)
        : ({ kind: 'tcp', host: settings.host, port: settings.port } as const);
    const listener = await bindOnce(address, { backlog: settings.backlog, umask: 0o111 });
    if (typeof listener === 'string') {
      this.#log.error(listener);
      return STARTUP_FAILURE;
    }
    const shown = listener.port === null ? `unix socket ${listener.address}` : listener.name;
    this.#log.info(`Uvicorn running on ${shown} (Press CTRL+C to quit)`);
    this.#log.info(`Started reloader process [${process.pid}] using StatReload`);
    const orders = { app: this.#app, settings, unixPath: listener.port === null ? listener.address : null };
    const signals = new SignalQueue();
    signals.listen(['SIGINT', 'SIGTERM']);
    let times = sourceTimes(directories, matches);
    let worker = new WorkerProcess(orders, listener);
    while ((await signals.wait(settings.reload_delay * 1000)).length === 0) {
      const now = sourceTimes(directories, matches);
      const file = changedFile(times, now);
      times = now;
      if (file === null) continue;
      this.#log.warning(`StatReload detected changes in '${path.relative(process.cwd(), file)}'. Reloading...`);
      worker.terminate();
      await worker.ended;
      worker = new WorkerProcess(orders, listener);
    }
    worker.terminate();
    await worker.ended;
    listener.close(true);
    this.#log.info(`Stopping reloader process [${process.pid}]`);
    return 0;
  }
}
