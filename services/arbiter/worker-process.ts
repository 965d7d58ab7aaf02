/**
 * A worker as its arbiter sees it: a child process with an age and a heartbeat. Only the arbiter makes these.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { FIRST_LISTENER_FD, START_VARIABLE, type WorkerStart } from '../workers/start.ts';
import { Heartbeat } from './heartbeat.ts';

const extension = path.extname(fileURLToPath(import.meta.url));
const PROGRAM = fileURLToPath(new URL(`../workers/main${extension}`, import.meta.url));

/** How a worker ended: an exit status or the name of a signal. */
export interface WorkerEnd {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One child. `onExit` is called once, when it is gone and reaped. */
export class WorkerProcess {
  readonly pid: number;
  readonly age: number;
  readonly heartbeat: Heartbeat;
  aborted = false;
  readonly #child: ChildProcess;

  constructor(
    orders: WorkerStart,
    listenerFds: readonly number[],
    options: {
      readonly heartbeatDirectory: string | null;
      readonly env: NodeJS.ProcessEnv;
      readonly output: number | null;
    },
    onExit: (worker: WorkerProcess, end: WorkerEnd) => void,
  ) {
    this.age = orders.age;
    this.heartbeat = Heartbeat.create(options.heartbeatDirectory);
    // The pipe at 3 is never written: its end tells the worker that the master is gone.
    const output = options.output ?? 'inherit';
    const stdio = ['inherit', output, output, 'pipe', this.heartbeat.fd, ...listenerFds] as const;
    if (stdio.length !== FIRST_LISTENER_FD + listenerFds.length) throw new Error('descriptors out of step');
    this.#child = spawn(process.execPath, [...process.execArgv, PROGRAM], {
      stdio: [...stdio],
      env: { ...options.env, [START_VARIABLE]: JSON.stringify(orders) },
    });
    this.pid = this.#child.pid ?? -1;
    (this.#child.stdio[3] as { on?(event: 'error', handler: () => void): void } | null)?.on?.('error', () => {});
    this.#child.on('error', () => onExit(this, { status: 255, signal: null }));
    this.#child.on('exit', (status, signal) => {
      this.heartbeat.close();
      this.#child.stdio[3]?.destroy();
      onExit(this, { status, signal });
    });
  }

  /** Sends a signal; a worker that is gone already does not mind. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}
