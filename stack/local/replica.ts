// One replica of a service: a process of its own in a session of its own (so that a Ctrl-C reaches only Portico, which
// stops services in order), its output pipe, its healthcheck, its restarts. It plays the part of a container: whatever
// the process started is killed when the process itself is gone.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Service } from '../compose/service.ts';
import type { Voice } from './console.ts';
import { HealthMonitor } from './health.ts';
import { createOutputPipe } from './output-pipe.ts';
import { identify, type ProcessIdentity, signal } from './process-identity.ts';
import type { HealthStatus, ReplicaRecord, ReplicaStatus } from './state.ts';

/** How a process ended; `text` is for people: "status 1", "signal SIGKILL". */
export interface Exit {
  isSuccess: boolean;
  text: string;
  ranMs: number;
}

/** What the stack hears of. `onExit` comes once the output is complete; it answers whether a restart is allowed at all. */
export interface ReplicaListener {
  onStart(replica: Replica): void;
  onHealth(replica: Replica): void;
  onExit(replica: Replica, exit: Exit): boolean;
}

// Docker's: 100 ms, doubled at each restart up to a minute, and forgotten once a process has run for ten seconds.
const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 60_000;
const BACKOFF_RESET_MS = 10_000;
// A process that escaped into a session of its own may hold the pipe for ever; its last words are not waited for longer.
const OUTPUT_WAIT_MS = 500;

export class Replica {
  readonly service: Service;
  readonly name: string;
  readonly address: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #fifoPath: string;
  readonly #listener: ReplicaListener;
  readonly voice: Voice;
  status: ReplicaStatus = 'created';
  health: HealthStatus = 'none';
  process: ProcessIdentity | undefined;
  startedAt: number | undefined;
  exit: Exit | undefined;
  #monitor: HealthMonitor | undefined;
  #isStopping = false;
  #restarts = 0;
  #backoffMs = BACKOFF_FIRST_MS;
  #restartTimer: NodeJS.Timeout | undefined;
  #gone = Promise.withResolvers<void>();

  constructor(
    service: Service,
    name: string,
    address: string,
    setup: { environment: NodeJS.ProcessEnv; fifoPath: string; voice: Voice; listener: ReplicaListener },
  ) {
    this.service = service;
    this.name = name;
    this.address = address;
    this.#environment = setup.environment;
    this.#fifoPath = setup.fifoPath;
    this.voice = setup.voice;
    this.#listener = setup.listener;
  }

  /** Why the last healthcheck failed. */
  get healthFailure(): string {
    return this.#monitor?.lastFailure ?? '';
  }

  /** Starts the process. A command that cannot be run is an exit like any other. */
  start(): void {
    const { command, workingDirectory, healthcheck } = this.service;
    this.#gone = Promise.withResolvers<void>();
    this.startedAt = Date.now();
    this.exit = undefined;
    this.voice.forget();
    if (!existsSync(workingDirectory)) {
      this.#ended(false, `no such directory: ${workingDirectory}`);
      return;
    }
    const where = { cwd: workingDirectory, env: this.#environment };
    const pipe = createOutputPipe(this.#fifoPath);
    const closed = new Promise<void>((resolve) => pipe.reader.once('close', () => resolve()));
    pipe.reader.setEncoding('utf8').on('data', (text: string) => this.voice.write(text));
    pipe.reader.on('error', () => {});
    const child = spawn(command[0]!, command.slice(1), {
      ...where,
      detached: true,
      stdio: ['ignore', pipe.writerFd, pipe.writerFd],
    });
    pipe.closeWriter();
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return;
      pipe.reader.destroy();
      const why =
        error.code === 'ENOENT' ? 'no such program' : error.code === 'EACCES' ? 'not executable' : error.message;
      this.#ended(false, `${command[0]}: ${why}`);
    });
    if (child.pid === undefined) return;
    this.process = identify(child.pid) ?? { pid: child.pid, startTime: '' };
    this.status = 'running';
    this.health = healthcheck === undefined ? 'none' : 'starting';
    this.#whenExited(child, closed, () => pipe.reader.destroy());
    this.#listener.onStart(this);
    if (healthcheck !== undefined) {
      this.#monitor = new HealthMonitor(healthcheck, where, (health) => {
        this.health = health;
        this.#listener.onHealth(this);
      });
    }
  }

  /** Asks the process to stop, as its service wants to be asked, and kills it when its grace is over. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#restartTimer);
    this.#monitor?.stop();
    if (this.process === undefined) {
      if (this.status === 'restarting') this.status = 'exited';
      return;
    }
    signal(this.process, this.service.stopSignal);
    const limit = setTimeout(() => this.kill(), this.service.stopGraceMs);
    await this.#gone.promise;
    clearTimeout(limit);
  }

  /** Kills the process and all that it started, at once. */
  kill(): void {
    this.#isStopping = true;
    if (this.process !== undefined) signal(this.process, 'SIGKILL', 'group');
  }

  /** The replica as it goes on record. */
  toRecord(): ReplicaRecord {
    return {
      name: this.name,
      service: this.service.name,
      status: this.status,
      health: this.health,
      address: this.address,
      ports: this.service.ports.map((port) => port.target),
      ...(this.process === undefined ? {} : { process: this.process }),
      ...(this.startedAt === undefined ? {} : { startedAt: this.startedAt }),
      ...(this.exit === undefined ? {} : { exit: this.exit.text }),
      stopSignal: this.service.stopSignal,
      stopGraceMs: this.service.stopGraceMs,
    };
  }

  #whenExited(child: ChildProcess, outputClosed: Promise<void>, destroyOutput: () => void): void {
    child.once('exit', async (status, name) => {
      this.#monitor?.stop();
      if (this.process !== undefined) signal(this.process, 'SIGKILL', 'group');
      const timer = setTimeout(destroyOutput, OUTPUT_WAIT_MS);
      await outputClosed;
      clearTimeout(timer);
      this.#ended(status === 0, name === null ? `status ${status}` : `signal ${name}`);
    });
  }

  #ended(isSuccess: boolean, text: string): void {
    this.voice.flush();
    const ranMs = Date.now() - this.startedAt!;
    this.exit = { isSuccess, text, ranMs };
    this.process = undefined;
    this.status = 'exited';
    this.health = 'none';
    if (ranMs >= BACKOFF_RESET_MS) {
      this.#backoffMs = BACKOFF_FIRST_MS;
      this.#restarts = 0;
    }
    const { when, maxRetries = Number.POSITIVE_INFINITY } = this.service.restart;
    const isWanted = when === 'always' || (when === 'on-failure' && !isSuccess && this.#restarts < maxRetries);
    if (isWanted && !this.#isStopping) this.status = 'restarting';
    const isAllowed = this.#listener.onExit(this, this.exit);
    if (this.status === 'restarting' && isAllowed && !this.#isStopping) {
      this.#restarts++;
      this.#restartTimer = setTimeout(() => this.start(), this.#backoffMs);
      this.#backoffMs = Math.min(this.#backoffMs * 2, BACKOFF_MAX_MS);
    } else {
      this.status = 'exited';
    }
    this.#gone.resolve();
  }
}
