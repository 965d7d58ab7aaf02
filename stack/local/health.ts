// Runs a replica's healthcheck as Docker does: the command of the compose file, again and again, status 0 is healthy,
// `retries` failures in a row are not. One thing differs: until the replica is healthy for the first time it is asked
// every 100 ms and then more and more slowly, instead of once an interval, so that a laptop waits no longer than it must;
// how long it may take in all (start_period + retries x interval) is the same.
import { spawn } from 'node:child_process';
import type { Healthcheck } from '../compose/service.ts';
import type { HealthStatus } from './state.ts';

const FIRST_DELAY_MS = 100;
const DELAY_GROWTH = 1.5;
const KEPT_OUTPUT = 2000;

/** Follows one running replica; make a new one for each start. */
export class HealthMonitor {
  readonly #check: Healthcheck;
  readonly #where: { cwd: string; env: NodeJS.ProcessEnv };
  readonly #onChange: (status: HealthStatus) => void;
  readonly #startedAt = Date.now();
  #timer: NodeJS.Timeout | undefined;
  #probe: number | undefined;
  #isStopped = false;
  #failures = 0;
  #delayMs = FIRST_DELAY_MS;
  /** What holds now. */
  status: HealthStatus = 'starting';
  /** What the last failing check printed, or how it failed. */
  lastFailure = '';

  constructor(
    check: Healthcheck,
    where: { cwd: string; env: NodeJS.ProcessEnv },
    onChange: (status: HealthStatus) => void,
  ) {
    this.#check = check;
    this.#where = where;
    this.#onChange = onChange;
    this.#schedule();
  }

  /** Ends the monitoring, and a check that is running. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#endProbe();
  }

  #schedule(): void {
    if (this.#isStopped) return;
    const { intervalMs } = this.#check;
    this.#timer = setTimeout(() => this.#run(), Math.min(this.#delayMs, intervalMs));
    this.#delayMs = this.status === 'starting' ? this.#delayMs * DELAY_GROWTH : intervalMs;
  }

  #run(): void {
    const [file, ...args] = this.#check.command;
    let output = '';
    const child = spawn(file!, args, { ...this.#where, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#probe = child.pid;
    let isDone = false;
    const done = (failure: string | undefined): void => {
      if (isDone) return;
      isDone = true;
      clearTimeout(limit);
      this.#endProbe();
      if (this.#isStopped) return;
      if (failure === undefined) this.#passed();
      else this.#failed(output.trim() === '' ? failure : output.trim());
      this.#schedule();
    };
    const limit = setTimeout(() => done(`no answer within ${this.#check.timeoutMs} ms`), this.#check.timeoutMs);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output = (output + text).slice(-KEPT_OUTPUT);
      });
    }
    child.once('error', (error) => done(error.message));
    // close, not exit: by then the output is complete.
    child.once('close', (status, name) =>
      done(status === 0 ? undefined : `it ended with ${name ?? `status ${status}`}`),
    );
    child.once('exit', (status) => {
      if (status === 0) done(undefined);
    });
  }

  #passed(): void {
    this.#failures = 0;
    this.#become('healthy');
  }

  #failed(why: string): void {
    this.lastFailure = why;
    this.#failures++;
    const { startPeriodMs, retries, intervalMs } = this.#check;
    const isOver =
      this.status === 'starting'
        ? Date.now() - this.#startedAt >= startPeriodMs + retries * intervalMs
        : this.#failures >= retries;
    if (isOver) this.#become('unhealthy');
  }

  #become(status: HealthStatus): void {
    if (this.status === status) return;
    this.status = status;
    this.#delayMs = this.#check.intervalMs;
    this.#onChange(status);
  }

  #endProbe(): void {
    if (this.#probe === undefined) return;
    try {
      process.kill(-this.#probe, 'SIGKILL');
    } catch {
      // It is over, and left nothing behind.
    }
    this.#probe = undefined;
  }
}
