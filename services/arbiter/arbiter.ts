/**
 * DESIGN. The arbiter is the pre-fork parent: it binds, starts workers, watches them, and never reads a byte of a client. It mirrors
 * the main loop of gunicorn/arbiter.py: signals are queued by their handlers and acted on one after another by a loop that also wakes
 * once a second to kill silent workers and to bring their number to what it should be. So "what happens when HUP comes while a worker
 * dies" has one answer, the order of the queue.
 *
 * A worker is an ordinary child process. It inherits the listening sockets by descriptor, so the kernel's queue outlives any worker,
 * and connections that arrive while none can accept wait there. Killing the master with KILL ends a pipe that each worker watches.
 */

import { GunicornLog } from '../log/gunicorn-log.ts';
import type { GunicornSettings } from '../settings/gunicorn-settings.ts';
import { versionProfile } from '../versions.ts';
import { APP_LOAD_ERROR, WORKER_BOOT_ERROR } from '../workers/worker.ts';
import { backlogOf } from './backlog.ts';
import { HaltServer } from './halt-server.ts';
import { bindListeners, CannotListen, type Listener, parseBindAddress, reserveAddresses } from './listeners.ts';
import { Pidfile } from './pidfile.ts';
import { adoptFromOldMaster, isReexec, startNewMaster } from './reexec.ts';
import { SignalQueue } from './signal-queue.ts';
import { type WorkerEnd, WorkerProcess } from './worker-process.ts';

/** What the arbiter needs to know beyond the settings; `reload` gives the settings anew for HUP. */
export interface ArbiterOptions {
  readonly settings: GunicornSettings;
  readonly app: string;
  readonly workerClass: string;
  readonly workerClassName: string;
  readonly configFile: string | null;
  readonly warnings: readonly string[];
  readonly reload: () => Promise<Omit<ArbiterOptions, 'reload'>>;
}

type Hook = (...args: unknown[]) => unknown;

const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** One master. run() ends with the exit status of the process. */
export class Arbiter {
  readonly pid = process.pid;
  readonly workers = new Map<number, WorkerProcess>();
  #options: Omit<ArbiterOptions, 'reload'>;
  readonly #reload: ArbiterOptions['reload'];
  #log: GunicornLog;
  #listeners: Listener[] = [];
  #numWorkers: number;
  #reportedWorkers: number | null = null;
  #workerAge = 0;
  #pidfile: Pidfile | null = null;
  #name = 'Master';
  #oldMasterPid = isReexec() ? process.ppid : 0;
  #newMasterPid = 0;
  #env: NodeJS.ProcessEnv;
  readonly #envOriginal = { ...process.env };
  readonly #signals = new SignalQueue();
  #ended: [WorkerProcess, WorkerEnd][] = [];

  constructor({ reload, ...options }: ArbiterOptions) {
    this.#options = options;
    this.#reload = reload;
    this.#log = new GunicornLog(options.settings);
    this.#numWorkers = options.settings.workers;
    this.#env = this.#workerEnv();
  }

  get log(): GunicornLog {
    return this.#log;
  }

  get #settings(): GunicornSettings {
    return this.#options.settings;
  }

  get #procName(): string {
    return (this.#settings.proc_name ?? this.#settings.default_proc_name) + (this.#oldMasterPid ? '.2' : '');
  }

  /** Runs until told to stop, or until workers cannot work. Gives the exit status. */
  async run(): Promise<number> {
    try {
      await this.#start();
    } catch (error) {
      if (error instanceof CannotListen) return 1;
      throw error;
    }
    try {
      await this.#manageWorkers();
      for (;;) {
        this.#maybePromote();
        for (const signal of await this.#signals.wait(1000)) await this.#handle(signal);
        this.#reapWorkers();
        this.#murderWorkers();
        await this.#manageWorkers();
      }
    } catch (error) {
      if (error instanceof HaltServer) return this.#halt(error.reason, error.status);
      this.#log.exception('Unhandled exception in main loop', error);
      await this.#stop(false);
      this.#pidfile?.unlink();
      return 255;
    }
  }

  async #start(): Promise<void> {
    const settings = this.#settings;
    this.#log.info(`Starting gunicorn ${versionProfile().gunicorn}`);
    for (const warning of this.#options.warnings) this.#log.warning(warning);
    if (this.#oldMasterPid) this.#name = 'Master.2';
    if (settings.pidfile !== null) this.#pidfile = new Pidfile(settings.pidfile + (this.#oldMasterPid ? '.2' : ''));
    this.#hook('on_starting');
    this.#signals.listen();
    const inherited = adoptFromOldMaster();
    this.#listeners = inherited ?? (await this.#bind());
    this.#log.debug('Arbiter booted');
    this.#log.info(`Listening at: ${this.#addresses()} (${this.pid})`);
    this.#log.info(`Using worker: ${this.#options.workerClassName}`);
    if (
      settings.worker_connections - settings.threads <= 0 &&
      settings.keepalive &&
      this.#options.workerClass === 'gthread'
    ) {
      this.#log.warning(
        'No keepalived connections can be handled. Check the number of worker connections and threads.',
      );
    }
    this.#hook('when_ready');
    process.title = `gunicorn: master [${this.#procName}]`;
  }

  #addresses(): string {
    const names = this.#listeners.map(({ name }) => name).join(',');
    return this.#settings.certfile === null ? names : names.replaceAll('http://', 'https://');
  }

  #bind(): Promise<Listener[]> {
    const { bind, backlog, umask, reuse_port: isEachOwn } = this.#settings;
    if (isEachOwn) return reserveAddresses(bind.map((text) => parseBindAddress(text)));
    return bindListeners(
      bind.map((text) => parseBindAddress(text)),
      { backlog, umask, log: this.#log },
    );
  }

  #hook(name: keyof GunicornSettings, ...args: unknown[]): void {
    (this.#settings[name] as unknown as Hook | null)?.(this, ...args);
  }

  #workerEnv(): NodeJS.ProcessEnv {
    const env = { ...this.#envOriginal, SERVER_SOFTWARE: `gunicorn/${versionProfile().gunicorn}` };
    for (const pair of this.#settings.raw_env) {
      const at = pair.indexOf('=');
      if (at < 0) throw new Error(`environment setting '${pair}' invalid`);
      (env as NodeJS.ProcessEnv)[pair.slice(0, at)] = pair.slice(at + 1);
    }
    return env;
  }

  async #handle(signal: NodeJS.Signals): Promise<void> {
    this.#log.info(`Handling signal: ${signal.slice(3).toLowerCase()}`);
    switch (signal) {
      case 'SIGHUP':
        this.#log.info(`Hang up: ${this.#name}`);
        return this.#handleHup();
      case 'SIGTERM':
        throw new HaltServer(null, 0);
      case 'SIGINT':
      case 'SIGQUIT':
        await this.#stop(false);
        throw new HaltServer(null, 0);
      case 'SIGTTIN':
        this.#setNumWorkers(this.#numWorkers + 1);
        return this.#manageWorkers();
      case 'SIGTTOU':
        if (this.#numWorkers <= 1) return;
        this.#setNumWorkers(this.#numWorkers - 1);
        return this.#manageWorkers();
      case 'SIGUSR1':
        this.#log.reopen();
        return this.#killWorkers('SIGUSR1');
      case 'SIGUSR2':
        return this.#reexec();
      case 'SIGWINCH':
        if (this.#settings.daemon) {
          this.#log.info('graceful stop of workers');
          this.#setNumWorkers(0);
          this.#killWorkers('SIGTERM');
        } else this.#log.debug('SIGWINCH ignored. Not daemonized');
        return;
      default:
        this.#log.error(`Unhandled signal: ${signal.slice(3).toLowerCase()}`);
    }
  }

  #setNumWorkers(count: number): void {
    const before = this.#numWorkers;
    this.#numWorkers = count;
    this.#hook('nworkers_changed', count, before);
  }

  async #handleHup(): Promise<void> {
    const before = this.#settings.bind;
    try {
      this.#options = await this.#reload();
    } catch (error) {
      // Gunicorn exits here; a typing error in a config file is no reason to take a site down, so the old settings stay.
      this.#log.error(`reloading the configuration failed, keeping the previous one: ${(error as Error).message}`);
    }
    const settings = this.#settings;
    this.#log.close();
    this.#log = new GunicornLog(settings);
    this.#env = this.#workerEnv();
    this.#setNumWorkers(settings.workers);
    if (JSON.stringify(before) !== JSON.stringify(settings.bind)) {
      for (const listener of this.#listeners) listener.close(true);
      this.#listeners = await this.#bind();
      this.#log.info(`Listening at: ${this.#addresses()}`);
    }
    this.#hook('on_reload');
    this.#pidfile?.unlink();
    this.#pidfile = settings.pidfile === null ? null : new Pidfile(settings.pidfile);
    const lastAge = this.#workerAge;
    for (let count = 0; count < settings.workers; count++) this.#spawnWorker();
    await this.#manageWorkers();
    // Waiting for the old ones here keeps the loop from telling them twice.
    const deadline = Date.now() + settings.graceful_timeout * 1000;
    while (Date.now() < deadline && [...this.workers.values()].some((worker) => worker.age <= lastAge)) {
      await sleep(100);
      this.#reapWorkers();
    }
  }

  #reexec(): void {
    if (this.#newMasterPid || this.#oldMasterPid) {
      this.#log.warning(`USR2 signal ignored. ${this.#newMasterPid ? 'Child' : 'Parent'} exists.`);
      return;
    }
    this.#hook('pre_exec');
    const child = startNewMaster(this.#listeners, this.#envOriginal);
    this.#newMasterPid = child.pid ?? 0;
    child.on('exit', () => {
      this.#newMasterPid = 0;
    });
  }

  #maybePromote(): void {
    if (this.#oldMasterPid === 0 || this.#oldMasterPid === process.ppid) return;
    this.#log.info('Master has been promoted.');
    this.#oldMasterPid = 0;
    this.#name = 'Master';
    if (this.#pidfile && this.#settings.pidfile !== null) {
      this.#pidfile = Pidfile.rename(`${this.#settings.pidfile}.2`, this.#settings.pidfile);
    }
    process.title = `gunicorn: master [${this.#procName}]`;
  }

  #murderWorkers(): void {
    const { timeout } = this.#settings;
    if (timeout === 0) return;
    for (const worker of this.workers.values()) {
      if (worker.heartbeat.silentSeconds() <= timeout) continue;
      if (worker.aborted) {
        worker.kill('SIGKILL');
        continue;
      }
      this.#log.critical(`WORKER TIMEOUT (pid:${worker.pid})`);
      worker.aborted = true;
      // The mark comes first: a handler that sleeps sees it and can still answer, where the signal must wait for it.
      if (versionProfile().timeoutAnswers500) worker.heartbeat.markAborted();
      worker.kill(versionProfile().timeoutAnswers500 ? 'SIGABRT' : 'SIGKILL');
    }
  }

  #reapWorkers(): void {
    const ended = this.#ended;
    this.#ended = [];
    for (const [worker, { status, signal }] of ended) {
      if (!this.workers.delete(worker.pid)) continue;
      if (signal) this.#reportSignal(worker, signal);
      if (status && versionProfile().reportsExitCodes) {
        this.#log.error(`Worker (pid:${worker.pid}) exited with code ${status}.`);
      }
      if (status === WORKER_BOOT_ERROR) throw new HaltServer('Worker failed to boot.', WORKER_BOOT_ERROR);
      if (status === APP_LOAD_ERROR) throw new HaltServer('App failed to load.', APP_LOAD_ERROR);
      this.#hook('child_exit', worker);
    }
  }

  #reportSignal(worker: WorkerProcess, signal: NodeJS.Signals): void {
    const text = `Worker (pid:${worker.pid}) was sent ${signal}!`;
    if (signal === 'SIGKILL') this.#log.error(`${text} Perhaps out of memory?`);
    else if (signal === 'SIGTERM') this.#log.info(text);
    else this.#log.warning(text);
  }

  async #manageWorkers(): Promise<void> {
    while (this.workers.size < this.#numWorkers) {
      this.#spawnWorker();
      await sleep(100 * Math.random());
    }
    const byAge = [...this.workers.values()].sort((one, other) => one.age - other.age);
    const surplus = Math.max(0, byAge.length - this.#numWorkers);
    for (const worker of byAge.slice(0, surplus)) worker.kill('SIGTERM');
    this.#report(byAge.length - surplus);
  }

  #report(workers: number): void {
    if (this.#reportedWorkers !== workers) {
      this.#reportedWorkers = workers;
      this.#log.gauge('gunicorn.workers', workers, `${workers} workers`);
    }
    if (!this.#settings.enable_backlog_metric) return;
    const backlog = backlogOf(this.#listeners);
    if (backlog >= 0) this.#log.histogram('gunicorn.backlog', backlog, `socket backlog: ${backlog}`);
  }

  #spawnWorker(): void {
    this.#workerAge++;
    const { settings, app, workerClass, configFile } = this.#options;
    const orders = {
      settings,
      app,
      workerClass,
      configFile,
      age: this.#workerAge,
      ppid: this.pid,
      listeners: this.#listeners.map(({ name, address, port }) => ({ name, address, port })),
    };
    const output = settings.capture_output && settings.errorlog !== '-' ? this.#log.errorFd : null;
    const options = { heartbeatDirectory: settings.worker_tmp_dir, env: this.#env, output };
    const fds = settings.reuse_port ? [] : this.#listeners.map((listener) => listener.fd);
    const worker = new WorkerProcess(orders, fds, options, (ended, end) => {
      this.#ended.push([ended, end]);
      this.#signals.wakeup();
    });
    this.workers.set(worker.pid, worker);
    this.#hook('pre_fork', worker);
  }

  #killWorkers(signal: NodeJS.Signals): void {
    for (const worker of this.workers.values()) worker.kill(signal);
  }

  /** A handler that sleeps or computes sees the mark, ends as CPython's would by SystemExit, and its client is told. */
  #quitWorkers(): void {
    if (versionProfile().timeoutAnswers500) for (const worker of this.workers.values()) worker.heartbeat.markAborted();
    this.#killWorkers('SIGQUIT');
  }

  /** Closes the listeners, tells the workers, and waits for them: gracefully up to graceful_timeout, quickly up to a moment. */
  async #stop(isGraceful = true): Promise<void> {
    const keepsPath = this.#newMasterPid !== 0 || this.#oldMasterPid !== 0;
    for (const listener of this.#listeners) listener.close(!keepsPath);
    this.#listeners = [];
    if (isGraceful) this.#killWorkers('SIGTERM');
    else this.#quitWorkers();
    let isQuick = !isGraceful;
    // A blocked handler cannot run Node's signal handlers as CPython runs its own, so a quick stop does not wait for it.
    const quickMs = 500;
    let limit = Date.now() + (isQuick ? quickMs : this.#settings.graceful_timeout * 1000);
    while (this.workers.size > 0 && Date.now() < limit) {
      for (const signal of await this.#signals.wait(100)) {
        if (isQuick || (signal !== 'SIGINT' && signal !== 'SIGQUIT')) continue;
        this.#log.info('Quick shutdown requested');
        isQuick = true;
        this.#quitWorkers();
        limit = Date.now() + 2000;
      }
      this.#forgetEnded();
    }
    this.#killWorkers('SIGKILL');
    while (this.workers.size > 0) {
      await this.#signals.wait(100);
      this.#forgetEnded();
    }
  }

  // While stopping, how a worker ended no longer decides anything.
  #forgetEnded(): void {
    for (const [worker] of this.#ended) {
      this.workers.delete(worker.pid);
      this.#hook('child_exit', worker);
    }
    this.#ended = [];
  }

  async #halt(reason: string | null, status: number): Promise<number> {
    await this.#stop();
    const say = (text: string): void => (status === 0 ? this.#log.info(text) : this.#log.error(text));
    say(`Shutting down: ${this.#name}`);
    if (reason !== null) say(`Reason: ${reason}`);
    this.#pidfile?.unlink();
    this.#hook('on_exit');
    return status;
  }
}
