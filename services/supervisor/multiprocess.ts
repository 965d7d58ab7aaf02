/**
 * Uvicorn's own supervisor for --workers: binds once, starts the workers, pings each every half second and replaces those that are dead
 * or do not answer in time; HUP restarts them one by one, TTIN and TTOU change their number. Mirrors supervisors/multiprocess.py.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { bindOnce, type Listener } from '../arbiter/listeners.ts';
import { SignalQueue } from '../arbiter/signal-queue.ts';
import type { UvicornLog } from '../log/uvicorn-log.ts';
import type { UvicornSettings } from '../settings/uvicorn-settings.ts';
import { CONTROL_FD } from './pong.ts';
import { STARTUP_FAILURE } from './serve-process.ts';

const extension = path.extname(fileURLToPath(import.meta.url));
const PROGRAM = fileURLToPath(new URL(`./worker${extension}`, import.meta.url));

/** The descriptor of a worker's socket, and the variable with its orders. */
export const LISTENER_FD = 4;
export const ORDERS_VARIABLE = 'PORTICO_UVICORN_WORKER';

/** A worker's orders. */
export interface WorkerOrders {
  readonly app: string;
  readonly settings: UvicornSettings;
  readonly unixPath: string | null;
}

const PING = 'ping\n';

/** One worker process. It answers a ping with `started` or `starting`. */
export class WorkerProcess {
  readonly pid: number;
  readonly ended: Promise<void>;
  status: number | null = null;
  isGone = false;
  #answer: ((text: string) => void) | null = null;
  readonly #child: ChildProcess;
  readonly #control: Duplex;

  constructor(orders: WorkerOrders, listener: Listener) {
    this.#child = spawn(process.execPath, [...process.execArgv, PROGRAM], {
      stdio: ['inherit', 'inherit', 'inherit', 'pipe', listener.fd],
      env: { ...process.env, [ORDERS_VARIABLE]: JSON.stringify(orders) },
    });
    this.pid = this.#child.pid ?? -1;
    this.#control = this.#child.stdio[CONTROL_FD] as Duplex;
    this.#control.on('error', () => {});
    this.#control.on('data', (bytes: Buffer) => this.#answer?.(bytes.toString()));
    this.ended = new Promise((done) => {
      this.#child.on('exit', (status) => {
        this.status = status;
        this.isGone = true;
        this.#control.destroy();
        done();
      });
    });
  }

  /** The worker's answer to a ping, or null when it gives none in time. */
  ping(timeoutMs: number): Promise<string | null> {
    if (this.isGone) return Promise.resolve(null);
    return new Promise((done) => {
      const timer = setTimeout(() => done(null), timeoutMs);
      const finish = (text: string | null): void => {
        clearTimeout(timer);
        this.#answer = null;
        done(text);
      };
      this.#answer = finish;
      void this.ended.then(() => finish(null));
      this.#control.write(PING);
    });
  }

  /** Asks it to end, and says so; nothing when it has ended already. */
  terminate(log: UvicornLog): void {
    if (this.isGone) return;
    this.#child.kill('SIGTERM');
    log.info(`Terminated child process [${this.pid}]`);
  }

  /** Waits for its end. */
  join(log: UvicornLog): Promise<void> {
    log.info(`Waiting for child process [${this.pid}]`);
    return this.ended;
  }

  kill(log: UvicornLog): Promise<void> {
    this.#child.kill('SIGKILL');
    return this.join(log);
  }
}

/** The parent. run() gives the exit status: 0 also when a worker could not start, as Uvicorn's does. */
export class Multiprocess {
  readonly #settings: UvicornSettings;
  readonly #app: string;
  readonly #log: UvicornLog;
  readonly #signals = new SignalQueue();
  readonly #workers: WorkerProcess[] = [];
  #count: number;
  #shouldExit = false;
  #listener: Listener | null = null;

  constructor(app: string, settings: UvicornSettings, count: number, log: UvicornLog) {
    this.#app = app;
    this.#settings = settings;
    this.#count = count;
    this.#log = log;
  }

  async run(): Promise<number> {
    const { host, port, uds, fd, backlog, ssl_certfile: certificate } = this.#settings;
    const address =
      fd !== null
        ? ({ kind: 'fd', fd } as const)
        : uds !== null
          ? ({ kind: 'unix', path: uds } as const)
          : ({ kind: 'tcp', host, port } as const);
    const bound = await bindOnce(address, { backlog, umask: 0o111 });
    if (typeof bound === 'string') {
      this.#log.error(bound);
      return STARTUP_FAILURE;
    }
    this.#listener = bound;
    const shown =
      bound.port === null
        ? `unix socket ${bound.address}`
        : bound.name.replace('http:', certificate ? 'https:' : 'http:');
    this.#log.info(`Uvicorn running on ${shown} (Press CTRL+C to quit)`);
    this.#log.info(`Started parent process [${process.pid}]`);
    this.#signals.listen();
    for (let index = 0; index < this.#count; index++) this.#workers.push(this.#start());
    while (!this.#shouldExit) {
      const signals = await this.#signals.wait(500);
      for (const signal of signals) await this.#handle(signal);
      await this.#keepAlive();
    }
    for (const worker of this.#workers) worker.terminate(this.#log);
    for (const worker of this.#workers) await worker.join(this.#log);
    bound.close(true);
    this.#log.info(`Stopping parent process [${process.pid}]`);
    return 0;
  }

  get #healthMs(): number {
    return this.#settings.timeout_worker_healthcheck * 1000;
  }

  #start(): WorkerProcess {
    const listener = this.#listener as Listener;
    const unixPath = listener.port === null ? listener.address : null;
    const worker = new WorkerProcess({ app: this.#app, settings: this.#settings, unixPath }, listener);
    void worker.ended.then(() => this.#signals.wakeup());
    return worker;
  }

  async #keepAlive(): Promise<void> {
    for (const [index, worker] of this.#workers.entries()) {
      if (this.#shouldExit) return;
      if ((await worker.ping(this.#healthMs)) !== null) continue;
      await worker.kill(this.#log);
      if (worker.status === STARTUP_FAILURE) {
        this.#log.error(`Child process [${worker.pid}] failed to start, stopping the parent process.`);
        this.#shouldExit = true;
        return;
      }
      this.#log.info(`Child process [${worker.pid}] died`);
      this.#workers[index] = this.#start();
    }
  }

  async #handle(signal: NodeJS.Signals): Promise<void> {
    if (signal === 'SIGINT' || signal === 'SIGTERM') {
      this.#log.info(`Received ${signal}, exiting.`);
      this.#shouldExit = true;
    } else if (signal === 'SIGHUP') {
      this.#log.info('Received SIGHUP, restarting processes.');
      await this.#restart();
    } else if (signal === 'SIGTTIN') {
      this.#log.info('Received SIGTTIN, increasing the number of processes.');
      this.#count++;
      this.#workers.push(this.#start());
    } else if (signal === 'SIGTTOU') {
      this.#log.info('Received SIGTTOU, decreasing number of processes.');
      if (this.#count <= 1) {
        this.#log.info('Already reached one process, cannot decrease the number of processes anymore.');
        return;
      }
      this.#count--;
      const last = this.#workers.pop();
      last?.terminate(this.#log);
      await last?.join(this.#log);
    } else this.#log.debug(`Received signal ${signal.slice(3)}, but no handler is defined for it.`);
  }

  /** One by one, and the old worker goes only when the new one serves. */
  async #restart(): Promise<void> {
    for (const [index, old] of this.#workers.entries()) {
      const fresh = this.#start();
      if (!(await this.#isReady(fresh))) {
        await fresh.kill(this.#log);
        this.#log.error(
          `New child process [${fresh.pid}] was not ready in time; keeping worker [${old.pid}] and aborting the restart.`,
        );
        return;
      }
      old.terminate(this.#log);
      await old.join(this.#log);
      this.#workers[index] = fresh;
    }
  }

  async #isReady(worker: WorkerProcess): Promise<boolean> {
    const deadline = Date.now() + this.#healthMs;
    while (!worker.isGone && Date.now() < deadline) {
      const answer = await worker.ping(deadline - Date.now());
      if (answer?.startsWith('started')) return true;
      await new Promise((done) => setTimeout(done, 20));
    }
    return false;
  }
}
