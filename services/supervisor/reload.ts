/**
 * Uvicorn's --reload: one worker process, restarted when a watched file changes. Looks at modification times as its StatReload does, which
 * works on every file system, the mounted ones of containers included.
 */
import path from 'node:path';
import { bindOnce } from '../arbiter/listeners.ts';
import { SignalQueue } from '../arbiter/signal-queue.ts';
import type { UvicornLog } from '../log/uvicorn-log.ts';
import type { UvicornSettings } from '../settings/uvicorn-settings.ts';
import { changedFile, isSource, sourceTimes } from '../source-watch.ts';
import { WorkerProcess } from './multiprocess.ts';
import { STARTUP_FAILURE } from './serve-process.ts';

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
      (isSource(file) || included.some((each) => each.test(file))) && !excluded.some((each) => each.test(file));
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
      worker.terminate(this.#log);
      await worker.join(this.#log);
      worker = new WorkerProcess(orders, listener);
    }
    worker.terminate(this.#log);
    await worker.join(this.#log);
    listener.close(true);
    this.#log.info(`Stopping reloader process [${process.pid}]`);
    return 0;
  }
}
