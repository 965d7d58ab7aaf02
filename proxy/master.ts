// The master process: it owns the sockets, the pid file and the workers, takes the signals, and never touches a
// client's bytes. Mirrors ngx_master_process_cycle.
import { chownSync, statSync } from 'node:fs';
import {
  type Cycle,
  type CycleOptions,
  closeCycle,
  coreOf,
  openCycle,
  pidFileOf,
  reopenFiles,
  useCycle,
  workerUserOf,
} from './cycle.ts';
import { isDaemon } from './daemon.ts';
import { type ListenSockets, planSockets } from './listen/sockets.ts';
import { makeTicketKeys } from './listen/tls-context.ts';
import { type WorkerContext, Workers } from './master-workers.ts';
import { passwordFiles } from './modules/ssl.ts';
import { removePidFile, writePidFile } from './pid-file.ts';
import { handleSignals } from './signals.ts';
import type { StartupLog } from './startup-log.ts';
import { makeDirectories } from './worker-directories.ts';
import { shareZones } from './zone-directory.ts';

/** How long workers get to end on TERM before they are killed. */
const TERMINATE_MS = 1000;

export class Master {
  #cycle: Cycle;
  readonly #sockets: ListenSockets;
  readonly #options: CycleOptions;
  readonly #startup: StartupLog;
  readonly #workers: Workers;
  readonly #ticketKeys = makeTicketKeys();
  readonly #isDaemon = isDaemon();
  #cycles = 0;
  #isTerminating = false;
  #isQuitting = false;
  #isReloading = false;
  #wantsReload = false;
  /** Called when a worker came or went. */
  #waiters: (() => void)[] = [];

  constructor(cycle: Cycle, sockets: ListenSockets, options: CycleOptions, startup: StartupLog) {
    this.#cycle = cycle;
    this.#sockets = sockets;
    this.#options = options;
    this.#startup = startup;
    this.#workers = new Workers(
      () => this.#cycle.log,
      () => this.#changed(),
    );
  }

  /** Starts the workers; resolves when the sockets are open for clients and the pid file is there. */
  async run(onUp: () => void): Promise<void> {
    process.title = `nginx: master process ${process.argv.slice(1).join(' ')}`;
    useCycle(this.#cycle);
    this.#handleSignals();
    this.#workers.start(this.#context(this.#cycle));
    await this.#until(() => this.#workers.readyOf(this.#cycle) > 0 || this.#workers.pendingOf(this.#cycle) === 0);
    if (this.#isTerminating || this.#isQuitting) return;
    if (this.#workers.readyOf(this.#cycle) === 0 && coreOf(this.#cycle).worker_processes > 0) {
      this.#sockets.close();
      process.exit(1);
    }
    writePidFile(pidFileOf(this.#cycle));
    this.#startup.isOnStderr = false;
    onUp();
  }

  #context(cycle: Cycle): WorkerContext {
    const user = workerUserOf(cycle);
    shareZones(cycle.config.named.keys(), user, (message) => cycle.log.write('warn', message));
    makeDirectories(cycle.config.named.keys(), user, (message) => cycle.log.write('emerg', message));
    const { prefix, confFile, globals, errorLog } = this.#options;
    return {
      cycle,
      number: ++this.#cycles,
      sockets: this.#sockets,
      start: {
        options: { prefix, confFile, errorLog, ...(globals === undefined ? {} : { globals }) },
        ticketKeys: this.#ticketKeys,
        passwords: [...passwordFiles],
        isDaemon: this.#isDaemon,
      },
    };
  }

  #handleSignals(): void {
    const actions = {
      SIGTERM: () => this.#terminate(),
      SIGINT: () => this.#terminate(),
      SIGQUIT: () => this.#quit(),
      SIGHUP: () => {
        this.#wantsReload = true;
        void this.#reload();
      },
      SIGUSR1: () => this.#reopen(),
      ...(this.#isDaemon ? { SIGWINCH: () => this.#workers.tell('quit') } : {}),
    };
    // A new binary is a new checkout here: it is started in its own right.
    handleSignals(() => this.#cycle.log, actions, {
      SIGUSR2: ', ignoring',
      ...(this.#isDaemon ? {} : { SIGWINCH: '' }),
    });
  }

  #changed(): void {
    if ((this.#isTerminating || this.#isQuitting) && this.#workers.count === 0) this.#exit();
    for (const waiter of this.#waiters.splice(0)) waiter();
  }

  async #until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await new Promise<void>((done) => this.#waiters.push(done));
  }

  #terminate(): void {
    if (this.#isTerminating) return;
    this.#isTerminating = true;
    this.#workers.isStopping = true;
    this.#workers.tell('terminate');
    setTimeout(() => this.#workers.kill(), TERMINATE_MS).unref();
    if (this.#workers.count === 0) setImmediate(() => this.#exit());
  }

  #quit(): void {
    if (this.#isQuitting || this.#isTerminating) return;
    this.#isQuitting = true;
    this.#workers.isStopping = true;
    this.#workers.tell('quit');
    this.#sockets.close();
    if (this.#workers.count === 0) setImmediate(() => this.#exit());
  }

  #exit(): void {
    const { log } = this.#cycle;
    const failure = removePidFile(pidFileOf(this.#cycle));
    if (failure) log.write('alert', failure);
    log.write('notice', 'exit');
    this.#sockets.close();
    process.exit(0);
  }

  #reopen(): void {
    this.#cycle.log.write('notice', 'reopening logs');
    const user = workerUserOf(this.#cycle);
    reopenFiles(this.#cycle, (path) => {
      if (user && statSync(path).uid !== user.uid) chownSync(path, user.uid, -1);
    });
    this.#workers.tell('reopen');
  }

  /** HUP: the new configuration's workers serve before the old ones stop, so nobody is turned away. */
  async #reload(): Promise<void> {
    if (this.#isReloading) return;
    this.#isReloading = true;
    while (this.#wantsReload && !this.#isTerminating && !this.#isQuitting) {
      this.#wantsReload = false;
      await this.#reconfigure();
    }
    this.#isReloading = false;
  }

  async #reconfigure(): Promise<void> {
    const old = this.#cycle;
    old.log.write('notice', 'reconfiguring');
    let next: Cycle;
    passwordFiles.clear();
    try {
      next = await openCycle({ ...this.#options, warn: (message) => old.log.write('warn', message) });
    } catch (error) {
      old.log.write('emerg', (error as Error).message);
      return;
    }
    const plans = planSockets(next.config.listens);
    try {
      const workers = coreOf(next).worker_processes;
      if (!(await this.#sockets.open(plans, workers, (level, message) => old.log.write(level, message)))) {
        closeCycle(next);
        return;
      }
    } catch (error) {
      closeCycle(next);
      old.log.write('emerg', (error as Error).message);
      return;
    }
    if (this.#isTerminating || this.#isQuitting) return;
    this.#movePidFile(old, next);
    this.#cycle = next;
    useCycle(next);
    this.#workers.start(this.#context(next));
    await this.#until(() => this.#workers.pendingOf(next) === 0 || this.#isTerminating || this.#isQuitting);
    if (this.#isTerminating || this.#isQuitting) return;
    this.#workers.tell('quit', (cycle) => cycle !== next);
    this.#sockets.close(plans);
    closeCycle(old);
  }

  #movePidFile(old: Cycle, next: Cycle): void {
    const [from, to] = [pidFileOf(old), pidFileOf(next)];
    if (from === to) return;
    try {
      writePidFile(to);
      const failure = removePidFile(from);
      if (failure) old.log.write('alert', failure);
    } catch (error) {
      old.log.write('alert', (error as Error).message);
    }
  }
}
