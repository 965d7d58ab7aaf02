// The master's worker processes: spawning them with their sockets, replacing those that crash, and telling them what
// to do. One that died is replaced at once; only where workers die before they serve that gets slower and slower, since
// a start costs more here than a fork. Mirrors ngx_spawn_process, ngx_reap_children and ngx_signal_worker_processes.
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Cycle, coreOf, workerUserOf } from './cycle.ts';
import { lifecycle, runAll } from './lifecycle.ts';
import { type ListenSockets, planSockets } from './listen/sockets.ts';
import { serveWorker } from './master-link.ts';
import { workerCommand } from './worker-command.ts';
import { FATAL, type StartMessage, type ToMaster, type ToWorker } from './worker-messages.ts';
import type { WorkerPlace } from './worker-place.ts';

const ENTRY = fileURLToPath(
  new URL(`./worker-start${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
);

/** A worker that lives shorter than this, and never serves, counts as one that died at once. */
const SHORT_LIFE_MS = 1000;
const LONGEST_WAIT_MS = 5000;

export interface WorkerContext {
  readonly cycle: Cycle;
  /** Counts configurations in force, from 1. */
  readonly number: number;
  readonly sockets: ListenSockets;
  readonly start: Pick<StartMessage, 'options' | 'ticketKeys' | 'passwords' | 'isDaemon'>;
}

interface Worker {
  readonly process: ChildProcess;
  readonly place: WorkerPlace;
  readonly startedMs: number;
  readonly context: WorkerContext;
  isReady: boolean;
  isExiting: boolean;
  isRespawned: boolean;
}

export class Workers {
  readonly #all = new Set<Worker>();
  readonly #log: () => Cycle['log'];
  readonly #onChange: () => void;
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Deaths in a row of workers that hardly lived. */
  #shortLives = 0;
  /** Number of the newest configuration. */
  #latest = 0;
  #hasServed = false;
  isStopping = false;

  /** `onChange` is called when a worker became ready or ended. */
  constructor(log: () => Cycle['log'], onChange: () => void) {
    this.#log = log;
    this.#onChange = onChange;
  }

  get count(): number {
    return this.#all.size;
  }

  /** Workers of a cycle that serve. */
  readyOf(cycle: Cycle): number {
    let ready = 0;
    for (const worker of this.#all) if (worker.context.cycle === cycle && worker.isReady && !worker.isExiting) ready++;
    return ready;
  }

  /** Workers of a cycle that have not become ready yet, or wait to be replaced. */
  pendingOf(cycle: Cycle): number {
    let pending = this.#timers.size;
    for (const worker of this.#all) if (worker.context.cycle === cycle && !worker.isReady) pending++;
    return pending;
  }

  /** Starts the workers of a cycle. */
  start(context: WorkerContext): void {
    this.#log().write('notice', 'start worker processes');
    this.#latest = context.number;
    const count = coreOf(context.cycle).worker_processes;
    for (let slot = 0; slot < count; slot++) this.#spawn(context, slot);
  }

  #spawn(context: WorkerContext, slot: number): void {
    const { cycle } = context;
    const command = workerCommand(cycle, slot, ENTRY);
    const child = spawn(command.file, command.args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
      env: command.env,
    });
    const worker: Worker = {
      process: child,
      place: { cycle: context.number, slot, workers: coreOf(cycle).worker_processes, row: this.#freeRow() },
      startedMs: performance.now(),
      context,
      isReady: false,
      isExiting: false,
      isRespawned: true,
    };
    this.#all.add(worker);
    child.on('error', (error) => {
      this.#log().write('alert', `fork() failed while spawning "worker process" (${error.message})`);
      if (child.pid === undefined) this.#ended(worker, FATAL, null);
    });
    child.on('exit', (code, signal) => this.#ended(worker, code, signal));
    child.on('message', (message: ToMaster) => this.#receive(worker, message));
    if (child.pid === undefined) return;
    this.#log().write('notice', `start worker process ${child.pid}`);
    send(worker, {
      kind: 'start',
      ...context.start,
      files: [...cycle.config.files],
      user: workerUserOf(cycle),
      place: worker.place,
    });
    this.#sendSockets(worker);
    send(worker, { kind: 'listen' });
  }

  #sendSockets(worker: Worker): void {
    const { cycle, sockets } = worker.context;
    for (const plan of planSockets(cycle.config.listens)) {
      const handles = sockets.handlesOf(plan);
      send(worker, { kind: 'socket', key: plan.key }, handles[worker.place.slot % handles.length]);
    }
  }

  /** The lowest number that no living worker has. */
  #freeRow(): number {
    const used = new Set([...this.#all].map((worker) => worker.place.row));
    let row = 1;
    while (used.has(row)) row++;
    return row;
  }

  #receive(worker: Worker, message: ToMaster): void {
    switch (message.kind) {
      case 'ready':
        worker.isReady = true;
        this.#hasServed = true;
        this.#onChange();
        return;
      case 'sockets':
        // An old worker's sockets may be gone already; it is told to quit then.
        if (worker.isExiting) return;
        this.#sendSockets(worker);
        send(worker, { kind: 'resume' });
        return;
      case 'ask': {
        const value = serveWorker(message.topic, message.value);
        const reply = (answer: unknown): void => send(worker, { kind: 'answer', id: message.id, value: answer });
        if (value instanceof Promise) void value.then(reply);
        else reply(value);
        return;
      }
      case 'tell':
        serveWorker(message.topic, message.value);
    }
  }

  #ended(worker: Worker, code: number | null, signal: NodeJS.Signals | null): void {
    if (!this.#all.delete(worker)) return;
    const name = `worker process ${worker.process.pid}`;
    const log = this.#log();
    if (signal) log.write('alert', `${name} exited on signal ${constants.signals[signal]}`);
    else log.write('notice', `${name} exited with code ${code}`);
    if (code === FATAL && worker.isRespawned && !worker.isExiting) {
      log.write('alert', `${name} exited with fatal code ${FATAL} and cannot be respawned`);
      worker.isRespawned = false;
    }
    this.#tidy(worker);
    // Before the first worker ever served, a dead one says that this program or its configuration cannot: no second try.
    if (worker.isRespawned && this.#hasServed && !worker.isExiting && !this.isStopping) this.#replace(worker);
    this.#onChange();
  }

  /** What the worker had a share in is told that it is gone. */
  #tidy({ place, context }: Worker): void {
    const acts = [...lifecycle.workerEnded].map((act) => () => act(place));
    const isOld = place.cycle < this.#latest && ![...this.#all].some((other) => other.context === context);
    if (isOld) acts.push(...[...lifecycle.cycleEnded].map((act) => () => act(place.cycle)));
    runAll(acts, (error) => this.#log().write('alert', String((error as Error).stack)));
  }

  #replace(dead: Worker): void {
    const isShort = !dead.isReady && performance.now() - dead.startedMs < SHORT_LIFE_MS;
    this.#shortLives = isShort ? this.#shortLives + 1 : 0;
    // A signal to the whole process group reaches the workers first: the turn's end tells whether the master goes, too.
    const waitMs = this.#shortLives < 2 ? 1 : Math.min(LONGEST_WAIT_MS, 50 * 2 ** Math.min(this.#shortLives, 10));
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.isStopping) this.#spawn(dead.context, dead.place.slot);
    }, waitMs);
    this.#timers.add(timer);
  }

  /** Gives a command to the workers of `cycle`, or to all. */
  tell(kind: 'quit' | 'terminate' | 'reopen', isMeant: (cycle: Cycle) => boolean = () => true): void {
    for (const worker of this.#all) {
      if (!isMeant(worker.context.cycle)) continue;
      if (kind === 'quit' && worker.isExiting) continue;
      send(worker, { kind });
      if (kind !== 'reopen') worker.isExiting = true;
    }
    if (kind === 'reopen') return;
    // Replacements of the dead ones of an old cycle are not wanted any more; a stopping master wants none at all.
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  /** Ends those that do not go. */
  kill(): void {
    for (const worker of this.#all) worker.process.kill('SIGKILL');
  }
}

function send(worker: Worker, message: ToWorker, handle?: unknown): void {
  if (!worker.process.connected) return;
  // A worker that dies while it is spoken to is reported by its exit.
  worker.process.send(message, handle as never, {}, () => {});
}
