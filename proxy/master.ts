// The master process: it owns the sockets, the pid file and the workers, takes the signals, and never touches a
// client's bytes. Mirrors ngx_master_process_cycle.
import type { ChildProcess } from 'node:child_process';
import { chownSync, statSync } from 'node:fs';
import { constants } from 'node:os';
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
import type { ErrorLog } from './log.ts';
import { type WorkerContext, Workers } from './master-workers.ts';
import { passwordFiles } from './modules/ssl.ts';
import { hasParent, oldPidFile, startNewBinary, takePidFileBack } from './new-binary.ts';
import { removePidFile, writePidFile } from './pid-file.ts';
import { handleSignals } from './signals.ts';
import type { StartupLog } from './startup-log.ts';
import { makeDirectories } from './worker-directories.ts';
import { shareZones } from './zone-directory.ts';

type Write = ErrorLog['write'];

/** How long workers get to end on TERM before they are killed. */
const TERMINATE_MS = 1000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Master {
  #cycle: Cycle;
  readonly #sockets: ListenSockets;
  readonly #options: CycleOptions;
  readonly #startup: StartupLog;
  readonly #workers: Workers;
  readonly #ticketKeys = makeTicketKeys();
  readonly #isDaemon = isDaemon();
  #cycles = 0;
  #newBinary: ChildProcess | undefined;
  /** WINCH: the workers are gone, or going. */
  #isNotAccepting = false;
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
    // Waiting for a signal keeps no process running; without workers (WINCH) there would be nothing else.
    setInterval(() => {}, LONGEST_TIMER_MS);
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
        // The new binary has the configuration now; the old one only comes back.
        if (this.#newBinary) this.#acceptAgain();
        else {
          this.#wantsReload = true;
          void this.#reload();
        }
      },
      SIGUSR1: () => this.#reopen(),
      SIGUSR2: () => this.#upgrade(),
      ...(this.#isDaemon ? { SIGWINCH: () => this.#stopAccepting() } : {}),
    };
    handleSignals(() => this.#cycle.log, actions, {
      SIGUSR2: () => (this.#mayUpgrade ? undefined : ', ignoring'),
      ...(this.#isDaemon ? {} : { SIGWINCH: '' }),
    });
  }

  /** One of the two is new already, or (daemon off) somebody watches over this one. */
  get #mayUpgrade(): boolean {
    return !hasParent() && this.#newBinary === undefined;
  }

  /** USR2: this program, as it is now on disk, is started beside this one. */
  #upgrade(): void {
    if (!this.#mayUpgrade || this.#isTerminating || this.#isQuitting) return;
    const write: Write = (level, message) => this.#cycle.log.write(level, message);
    write('notice', 'changing binary');
    const child = startNewBinary(this.#sockets, pidFileOf(this.#cycle), coreOf(this.#cycle).env, write);
    this.#newBinary = child;
    child?.on('exit', (code, signal) => {
      const level = signal ? 'alert' : 'notice';
      const how = signal ? `on signal ${constants.signals[signal]}` : `with code ${code}`;
      write(level, `new binary process ${child.pid} exited ${how}`);
      takePidFileBack(pidFileOf(this.#cycle), 'the', write);
      this.#newBinary = undefined;
      this.#acceptAgain();
    });
  }

  #stopAccepting(): void {
    this.#isNotAccepting = true;
    this.#workers.tell('quit');
  }

  /** Workers again, after WINCH. */
  #acceptAgain(): void {
    if (!this.#isNotAccepting || this.#isTerminating || this.#isQuitting) return;
    this.#isNotAccepting = false;
    this.#workers.start(this.#context(this.#cycle));
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
    this.#closeSockets();
    if (this.#workers.count === 0) setImmediate(() => this.#exit());
  }

  #exit(): void {
    const { log } = this.#cycle;
    const pidFile = pidFileOf(this.#cycle);
    const failure = removePidFile(this.#newBinary ? oldPidFile(pidFile) : pidFile);
    if (failure) log.write('alert', failure);
    log.write('notice', 'exit');
    this.#closeSockets();
    process.exit(0);
  }

  /** The files of unix sockets belong to the binary that stays: the new one, or the old one that started this. */
  #closeSockets(): void {
    this.#sockets.close([], this.#newBinary !== undefined || (this.#sockets.isInherited && hasParent()));
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
    this.#isNotAccepting = false;
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
