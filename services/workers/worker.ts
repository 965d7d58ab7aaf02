/**
 * What all worker classes share: the life of a worker process (gunicorn/workers/base.py). Settings and log, the application, signals,
 * the heartbeat, the link to the master, counting requests. A class adds how it accepts and serves.
 */
import { existsSync, statSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { Heartbeat } from '../arbiter/heartbeat.ts';
import { setAbortCheck } from '../gil/interrupt.ts';
import { GunicornLog } from '../log/gunicorn-log.ts';
import { adopt, bindTcp, type NetHandle } from '../net-handle.ts';
import type { GunicornSettings } from '../settings/gunicorn-settings.ts';
import { changedFile, isSource, sourceTimes } from '../source-watch.ts';
import { FIRST_LISTENER_FD, HEARTBEAT_FD, type ListenerStart, PARENT_FD, type WorkerStart } from './start.ts';

/** The exit statuses that make the arbiter stop instead of trying again. */
export const WORKER_BOOT_ERROR = 3;
export const APP_LOAD_ERROR = 4;

const RELOAD_INTERVAL_MS = 1000;

type Hook = (...args: unknown[]) => unknown;

/** A listener that the worker may accept from. */
export interface WorkerListener extends ListenerStart {
  readonly handle: NetHandle;
}

/** One worker process. `alive` turns false once; the class's loop then finishes what it has and calls exit(). */
export class Worker {
  readonly start: WorkerStart;
  readonly settings: GunicornSettings;
  readonly log: GunicornLog;
  readonly heartbeat = new Heartbeat(HEARTBEAT_FD);
  readonly listeners: readonly WorkerListener[];
  readonly pid = process.pid;
  /** Requests begun so far. */
  nr = 0;
  alive = true;
  booted = false;
  /** What the class does when it is told to stop gracefully; until it serves there is nothing to finish. */
  onStop: () => void = () => this.exit(0);
  /** How the class ends the process, when it is not just process.exit(). */
  leave: ((status: number) => void) | null = null;
  readonly #maxRequests: number;

  constructor(start: WorkerStart, settings: GunicornSettings) {
    this.start = start;
    this.settings = settings;
    this.log = new GunicornLog(settings);
    this.listeners = start.listeners.map((listener, index) => {
      // With reuse_port each worker has a socket of its own, and the kernel spreads the connections.
      const handle = settings.reuse_port
        ? bindTcp(listener.address, listener.port ?? 0, { reusePort: true })
        : adopt(FIRST_LISTENER_FD + index);
      if (typeof handle === 'number') throw new Error(`cannot adopt ${listener.name}: errno ${-handle}`);
      return { ...listener, handle };
    });
    const jitter = Math.floor(Math.random() * (settings.max_requests_jitter + 1));
    this.#maxRequests = settings.max_requests > 0 ? settings.max_requests + jitter : Number.POSITIVE_INFINITY;
  }

  notify(): void {
    this.heartbeat.notify();
  }

  hook(name: keyof GunicornSettings & `${string}`, ...args: unknown[]): void {
    const hook = this.settings[name] as unknown as Hook | null;
    hook?.(...args);
  }

  /** Counts a request; true from the one at which max_requests is reached, which also ends this worker. */
  countRequest(): boolean {
    this.nr++;
    if (this.nr < this.#maxRequests) return false;
    if (this.alive) {
      this.log.info('Autorestarting worker after current request.');
      this.stop();
    }
    return true;
  }

  /** Graceful: no new connections, then exit when what is in hand is done. */
  stop(): void {
    if (!this.alive) return;
    this.alive = false;
    this.onStop();
  }

  /** Answers signals and watches the master. Handlers run between two requests, as they do in Gunicorn with siginterrupt off. */
  listenToSignals(): void {
    process.on('SIGTERM', () => this.stop());
    process.on('SIGQUIT', () => this.quit());
    process.on('SIGINT', () => this.quit());
    process.on('SIGUSR1', () => this.log.reopen());
    process.on('SIGWINCH', () => this.log.debug('worker: SIGWINCH ignored.'));
    process.on('SIGABRT', () => {
      this.alive = false;
      this.hook('worker_abort', this);
      this.exit(1);
    });
    setAbortCheck(() => this.heartbeat.isAborted);
    const parent = new net.Socket({ fd: PARENT_FD, readable: true, writable: true });
    parent.on('error', () => {});
    parent.on('close', () => {
      this.log.info(`Parent changed, shutting down: <Worker ${this.pid}>`);
      this.stop();
    });
    parent.resume();
    parent.unref();
  }

  /** --reload: leaves when a source file under the working directory, or an extra file, has changed. */
  watchSources(): void {
    this.log.warning('Reloader is on. Use in development only!');
    const extra = this.settings.reload_extra_files.map((file) => path.resolve(file));
    const look = (): Map<string, number> => {
      const times = sourceTimes([process.cwd()], isSource);
      for (const file of extra) if (existsSync(file)) times.set(file, statSync(file).mtimeMs);
      return times;
    };
    let before = look();
    setInterval(() => {
      const now = look();
      const file = changedFile(before, now);
      before = now;
      if (file === null || !this.alive) return;
      this.log.info(`Worker reloading: ${file} modified`);
      this.quit();
    }, RELOAD_INTERVAL_MS).unref();
  }

  /** QUIT and INT: leave now, whatever is in hand. */
  quit(): void {
    this.alive = false;
    this.hook('worker_int', this);
    // Gunicorn sleeps here too, and accepts nothing meanwhile.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    this.exit(0);
  }

  /** Says goodbye in the log and ends the process. */
  exit(status: number): void {
    if (this.leave) this.leave(status);
    else {
      this.goodbye();
      process.exit(status);
    }
  }

  /** The last words of a worker: the log line and the hook. */
  goodbye(): void {
    this.log.info(`Worker exiting (pid: ${this.pid})`);
    try {
      this.hook('worker_exit', null, this);
    } catch (error) {
      this.log.warning(`Exception during worker exit:\n${(error as Error).stack}`);
    }
  }
}
