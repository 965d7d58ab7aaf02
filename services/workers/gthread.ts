/**
 * The gthread worker: the main thread accepts, also while all threads are busy, up to worker_connections; a pool of threads serves, each
 * with blocking calls, all under one GIL; connections that are kept alive wait in the main thread, which costs no thread.
 * The main thread needs the GIL for what it does, as in CPython: one call that holds it also stops the heartbeat.
 *
 * DESIGN. libuv accepts before any code of ours runs, so a busy worker has a connection before it has the GIL; in the original it needs the
 * GIL first, and a worker that is idle meanwhile is often quicker. Under full load connections are therefore shared out less evenly here.
 */
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker as Thread } from 'node:worker_threads';
import { creditAccount, creditor } from '../cost/bill.ts';
import { watchIdleCores } from '../cost/idle-cores.ts';
import { pythonCostFactor, readCostProfile } from '../cost/profile.ts';
import { publishGauges } from '../gil/gauges.ts';
import { createGil, Gil, type GilState } from '../gil/gil.ts';
import { type EngineLine, forgetConnection, startTlsEngine } from '../http/tls-socket.ts';
import type { NetHandle } from '../net-handle.ts';
import { gunicornTls } from '../settings/gunicorn-tls-rows.ts';
import { versionProfile } from '../versions.ts';
import { AcceptGate } from './accept-gate.ts';
import { closeGracefully, whenClosed } from './graceful-close.ts';
import type { WorkerStart } from './start.ts';
import { peerOf } from './sync.ts';
import { FIRST_READ_BYTES, ThreadQueue, type ThreadQueueMemory, threadQueueMemory } from './thread-queue.ts';
import type { Worker } from './worker.ts';

const extension = path.extname(fileURLToPath(import.meta.url));
const PROGRAM = new URL(`./gthread-thread${extension}`, import.meta.url);
const STOP_KEEPALIVE_MS = 2000;

/** What a thread is started with. */
export interface ThreadStart {
  readonly start: WorkerStart;
  readonly gil: GilState;
  /** Where the main thread leaves what it has used for requests. */
  readonly credit: SharedArrayBuffer;
  /** How idle the machine's cores are, for what handing over the GIL costs. */
  readonly idle: Int32Array;
  readonly queue: ThreadQueueMemory;
  /** The way to the engine of TLS, if there is TLS. */
  readonly tls: EngineLine | null;
  readonly index: number;
}

/** What a thread reports: it is ready or has failed to load the app, a connection is done, the process must stop or exit. */
export type ThreadMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly status: number }
  | { readonly kind: 'done'; readonly slot: number; readonly outcome: 'keep-alive' | 'pipelined' | 'defer' | 'close' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'exit'; readonly status: number };

/** A connection, in whichever state: with a thread, or waiting here for bytes. */
interface Connection {
  readonly slot: number;
  readonly handle: NetHandle;
  readonly socket: net.Socket;
  timer: NodeJS.Timeout | null;
  /** Whether the next bytes must put the connection into the queue. */
  isParked: boolean;
  isClosing: boolean;
}

/** Runs the worker until it is told to stop. The application is loaded by the threads, each for itself. */
export async function runGthread(worker: Worker): Promise<void> {
  const { settings, start } = worker;
  const state = createGil({ switchIntervalMs: settings.switch_interval, isOn: settings.gil === 'on' });
  publishGauges(state);
  const credit = creditAccount();
  const hasCost = pythonCostFactor(settings.python_cost) > 0;
  const idle = watchIdleCores(hasCost ? (readCostProfile().measured.idleCores ?? 1) : 0);
  const memory = threadQueueMemory(settings.threads, settings.worker_connections);
  const files = gunicornTls(settings);
  const lines = files ? await startTlsEngine(files, settings.threads + 1) : [];
  const threads = Array.from({ length: settings.threads }, (_, index) => {
    const tls = lines[index] ?? null;
    const data: ThreadStart = { start, gil: state, credit, idle, queue: memory, tls, index };
    return new Thread(PROGRAM, { workerData: data, transferList: tls ? [tls.port] : [] });
  });
  const master = new GthreadMain(worker, new Gil(state, settings.threads + 1), new ThreadQueue(memory), threads);
  const own = lines.at(-1);
  if (own) master.forget = (slot) => forgetConnection(own, slot);
  master.noteCpu = creditor(credit, hasCost);
  await master.ready();
  master.accept();
}

/** The main thread's side. */
class GthreadMain {
  readonly #worker: Worker;
  readonly #gil: Gil;
  readonly #queue: ThreadQueue;
  readonly #threads: readonly Thread[];
  readonly #connections = new Map<number, Connection>();
  readonly #freeSlots: number[];
  readonly #scratch = Buffer.allocUnsafe(FIRST_READ_BYTES);
  readonly #held: NetHandle[] = [];
  readonly #gate: AcceptGate;
  #kept = 0;
  #busy = 0;
  #onJoined: (() => void) | null = null;
  /** Called when a connection is over, for what TLS knows of it. */
  forget: (slot: number) => void = () => {};
  /** Called once a request, for the cost model. */
  noteCpu: () => void = () => {};

  constructor(worker: Worker, gil: Gil, queue: ThreadQueue, threads: readonly Thread[]) {
    this.#worker = worker;
    this.#gil = gil;
    this.#queue = queue;
    this.#threads = threads;
    this.#gate = new AcceptGate(worker.listeners.map(({ handle }) => handle));
    this.#freeSlots = Array.from({ length: worker.settings.worker_connections }, (_, slot) => slot).reverse();
  }

  /** Resolves when all threads can serve. A thread that cannot load the application ends the process with its status. */
  async ready(): Promise<void> {
    const started = this.#threads.map(
      (thread) =>
        new Promise<void>((done) => {
          thread.on('message', (message: ThreadMessage) => {
            if (message.kind === 'ready') {
              this.#worker.notify();
              done();
            } else this.#onMessage(message);
          });
          thread.on('error', (error) => {
            this.#worker.log.exception('Exception in worker process', error);
            this.#leave(this.#worker.booted ? 1 : 3);
          });
        }),
    );
    await Promise.all(started);
  }

  accept(): void {
    const worker = this.#worker;
    const beat = setInterval(() => this.#underGil(() => worker.notify()), 1000);
    worker.onStop = () => {
      clearInterval(beat);
      this.#stop();
    };
    worker.leave = (status) => this.#leave(status);
    for (const listener of worker.listeners) {
      listener.handle.onconnection = (status, client) => {
        if (status >= 0 && client) this.#onConnection(client);
      };
      const status = listener.handle.listen(worker.settings.backlog);
      if (status < 0) throw new Error(`cannot listen at ${listener.name}: errno ${-status}`);
    }
    worker.notify();
  }

  #underGil(action: () => void): void {
    this.#gil.acquire();
    try {
      action();
    } finally {
      this.#gil.release();
    }
  }

  #onConnection(handle: NetHandle): void {
    const slot = this.#freeSlots.pop();
    if (slot === undefined) {
      // Over worker_connections: only where the gate cannot be shut, or when two listeners had one each at the same moment.
      this.#held.push(handle);
      return;
    }
    this.#gate.isOpen = this.#freeSlots.length > 0;
    this.#underGil(() => {
      handle.setNoDelay?.(true);
      const options = {
        handle,
        allowHalfOpen: true,
        onread: { buffer: this.#scratch, callback: (bytes: number) => this.#onBytes(connection, bytes) },
      };
      const socket = new net.Socket(options as unknown as net.SocketConstructorOpts);
      const connection: Connection = { slot, handle, socket, timer: null, isParked: false, isClosing: false };
      this.#connections.set(slot, connection);
      this.#queue.open(slot, handle.fd, peerOf(handle));
      socket.on('end', () => this.#onEnd(connection));
      socket.on('error', () => this.#onEnd(connection));
      socket.resume();
      this.#enqueue(connection);
    });
  }

  #enqueue(connection: Connection): void {
    this.#busy++;
    const thread = this.#queue.push(connection.slot);
    if (thread >= 0) this.#threads[thread]?.postMessage(null);
  }

  // Bytes have come: the thread reads the rest itself, so reading stops here and the descriptor becomes a blocking one.
  #onBytes(connection: Connection, bytes: number): boolean {
    if (connection.isClosing) return true;
    connection.handle.setBlocking(true);
    const wasParked = this.#unpark(connection);
    this.#queue.setData(connection.slot, this.#scratch.subarray(0, bytes));
    if (wasParked) this.#underGil(() => this.#enqueue(connection));
    return false;
  }

  #onEnd(connection: Connection): void {
    if (this.#unpark(connection)) this.#close(connection);
    else this.#queue.setEnd(connection.slot);
  }

  /** Waits for bytes without a thread, for so long; a kept-alive connection counts against the limit of those. */
  #park(connection: Connection, ms: number): void {
    connection.isParked = true;
    this.#queue.keptAlive = ++this.#kept;
    connection.timer = setTimeout(() => {
      this.#unpark(connection);
      this.#close(connection);
    }, ms);
    // Bytes may have come between the end of the thread's wait and now.
    if (this.#queue.hasData(connection.slot)) {
      this.#unpark(connection);
      this.#enqueue(connection);
      return;
    }
    connection.handle.setBlocking(false);
    connection.socket.resume();
  }

  #unpark(connection: Connection): boolean {
    if (!connection.isParked) return false;
    connection.isParked = false;
    this.#queue.keptAlive = --this.#kept;
    if (connection.timer) clearTimeout(connection.timer);
    return true;
  }

  /** Closes; after a response so that the client gets the whole of it, which can hold this thread up. */
  #close(connection: Connection, isAfterResponse = false): void {
    const { socket, slot, handle } = connection;
    this.#connections.delete(slot);
    this.forget(slot);
    const free = (): void => {
      this.#freeSlots.push(slot);
      const held = this.#held.shift();
      if (held) this.#onConnection(held);
      else this.#gate.isOpen = true;
      if (!this.#worker.alive) this.#leaveWhenIdle();
    };
    if (socket.destroyed) {
      free();
      return;
    }
    socket.removeAllListeners('end').removeAllListeners('error');
    connection.isClosing = true;
    if (isAfterResponse && versionProfile().closesGracefully) {
      closeGracefully(handle, this.#gil.allowThreads, free, socket);
      return;
    }
    socket.on('error', () => {});
    socket.on('close', free);
    socket.destroy();
  }

  #onMessage(message: Exclude<ThreadMessage, { kind: 'ready' }>): void {
    if (message.kind === 'failed') this.#leave(message.status);
    else if (message.kind === 'exit') this.#leaveNow(message.status);
    else if (message.kind === 'stop') this.#worker.stop();
    else this.#onDone(message);
  }

  #onDone(message: Extract<ThreadMessage, { kind: 'done' }>): void {
    const connection = this.#connections.get(message.slot);
    this.#busy--;
    if (this.#busy === 0) this.#onJoined?.();
    if (!connection) return;
    this.noteCpu();
    const { keepalive } = this.#worker.settings;
    this.#underGil(() => {
      if (message.outcome === 'pipelined') this.#enqueue(connection);
      else if (message.outcome === 'keep-alive') {
        this.#park(connection, this.#worker.alive ? keepalive * 1000 : Math.min(keepalive * 1000, STOP_KEEPALIVE_MS));
      } else if (message.outcome === 'defer' && this.#worker.alive) this.#park(connection, keepalive * 1000);
      else this.#close(connection, true);
    });
  }

  #stop(): void {
    this.#queue.markStopping();
    this.#gate.remove();
    for (const { handle } of this.#worker.listeners) handle.close();
    for (const connection of this.#connections.values()) {
      if (!connection.isParked || !connection.timer) continue;
      clearTimeout(connection.timer);
      const ms = Math.min(this.#worker.settings.keepalive * 1000, STOP_KEEPALIVE_MS);
      connection.timer = setTimeout(() => {
        this.#unpark(connection);
        this.#close(connection);
      }, ms);
    }
    const beat = setInterval(() => this.#worker.notify(), 1000);
    beat.unref();
    setTimeout(() => {
      this.#worker.goodbye();
      this.#leaveNow(0);
    }, this.#worker.settings.graceful_timeout * 1000).unref();
    this.#leaveWhenIdle();
  }

  #leaveWhenIdle(): void {
    if (this.#connections.size === 0) whenClosed(() => this.#leave(0));
  }

  /** Python's exit: the threads are joined first, however long that takes; the arbiter's patience is the limit. */
  #leave(status: number): void {
    if (this.#busy > 0) {
      this.#onJoined = () => this.#leave(status);
      return;
    }
    this.#worker.goodbye();
    process.exit(status);
  }

  /** os._exit(), or the end of all patience. Node would wait for threads that are inside a system call. */
  #leaveNow(status: number): void {
    if (this.#busy > 0) replaceProcess(status);
    process.exit(status);
  }
}

/** Exits at once with a status, whatever the other threads are doing: exec() takes no leave of them. */
function replaceProcess(status: number): void {
  const { execve } = process as { execve?: (file: string, args: string[], env: NodeJS.ProcessEnv) => never };
  try {
    execve?.('/bin/sh', ['sh', '-c', `exit ${status}`], {});
  } catch {
    execve?.(process.execPath, [process.execPath, '-e', `process.exit(${status})`], {});
  }
}
