/**
 * The ASGI server of one process: startup, serving, shutdown, as Uvicorn's Server has them. It accepts at once whatever comes, runs every
 * request as a task on the event loop, and knows nothing about processes; the Uvicorn command and Gunicorn's uvicorn worker both use it.
 */
import net, { type Socket } from 'node:net';
import tls from 'node:tls';
import type { AsgiApp, HttpScope, WebSocketScope } from '../asgi.ts';
import { loopGil } from '../gil/loop.ts';
import type { AllowList } from '../http/allow-list.ts';
import { httpDate } from '../http/http-date.ts';
import { acceptsClient, type TlsFiles, tlsOptions } from '../tls-options.ts';
import { Connection } from './connection.ts';
import type { Cycle, CycleServer, DoneRequest } from './cycle.ts';
import type { Dialect } from './dialect.ts';
import type { Handshake } from './handshake.ts';
import { Lifespan, type ServerLog } from './lifespan.ts';
import { WebSocketSession } from './websocket.ts';

/** A log that also writes access lines, or not. */
export interface AsgiLog extends ServerLog {
  readonly access: ((scope: HttpScope, status: number) => void) | null;
  /** Called when a request is over. */
  readonly done?: ((request: DoneRequest) => void) | null;
}

/** What a server obeys; times in ms, sizes in bytes, 0 or null for no limit. */
export interface AsgiConfig {
  readonly rootPath: string;
  readonly keepAliveMs: number;
  readonly gracefulMs: number | null;
  readonly limitConcurrency: number | null;
  readonly limitRequests: number | null;
  /** Peers whose forwarding header fields are believed; null when proxy headers are off. */
  readonly trusted: AllowList | null;
  readonly hasServerHeader: boolean;
  readonly hasDateHeader: boolean;
  readonly headers: readonly (readonly [string, string])[];
  readonly lifespan: 'auto' | 'on' | 'off';
  readonly hasWebSockets: boolean;
  readonly webSocketMaxBytes: number;
  readonly webSocketMaxQueue: number;
  readonly webSocketPingMs: number;
  readonly webSocketPingTimeoutMs: number;
  readonly webSocketDeflate: boolean;
  readonly backlog: number;
  readonly tls: TlsFiles | null;
  readonly dialect: Dialect;
}

/** Where to accept: a bound descriptor, or an address of our own to bind. */
export type AsgiAddress =
  | { readonly fd: number; readonly unixPath: string | null }
  | { readonly host: string; readonly port: number }
  | { readonly path: string };

/** One server. `onLimit` is called once when limit_max_requests is reached. */
export class AsgiServer {
  readonly app: AsgiApp;
  readonly config: AsgiConfig;
  readonly log: AsgiLog;
  readonly connections = new Set<Connection>();
  readonly forCycles: CycleServer;
  onLimit: () => void = () => {};
  readonly #lifespan: Lifespan;
  readonly #listeners: net.Server[] = [];
  readonly #sessions = new Set<WebSocketSession>();
  readonly #cycles = new Set<Cycle>();
  #tasks = 0;
  #total = 0;
  #isForced = false;

  constructor(app: AsgiApp, config: AsgiConfig, log: AsgiLog) {
    this.app = app;
    this.config = config;
    this.log = log;
    this.#lifespan = new Lifespan(app, config.lifespan, log, config.dialect.lifespanWords);
    this.forCycles = {
      defaultHeaders: () => this.defaultHeaders(),
      logError: (message) => log.error(message),
      logWarning: (message) => log.warning(message),
      logAccess: log.access,
      logDone: log.done ?? null,
      dialect: config.dialect,
    };
    const names = config.headers.map(([name]) => name.toLowerCase());
    if (config.hasServerHeader && !names.includes('server')) this.#fixedHeaders += 'server: uvicorn\r\n';
    for (const [name, value] of config.headers) this.#fixedHeaders += `${name.toLowerCase()}: ${value}\r\n`;
  }

  #fixedHeaders = '';

  get state(): Readonly<Record<string, unknown>> {
    return this.#lifespan.state;
  }

  get totalRequests(): number {
    return this.#total;
  }

  set totalRequests(count: number) {
    this.#total = count;
    if (this.config.limitRequests !== null && count === this.config.limitRequests) this.onLimit();
  }

  get activeTasks(): number {
    return this.#tasks;
  }

  /** The header fields that every response begins with, as lines. */
  defaultHeaders(): string {
    return this.config.hasDateHeader ? `date: ${httpDate()}\r\n${this.#fixedHeaders}` : this.#fixedHeaders;
  }

  isOverLimit(): boolean {
    const limit = this.config.limitConcurrency;
    return limit !== null && (this.connections.size >= limit || this.#tasks >= limit);
  }

  /** Starts the application; false when it refuses. */
  async startup(): Promise<boolean> {
    await this.#lifespan.startup();
    return !this.#lifespan.hasFailed;
  }

  /** Accepts at an address; gives the listening server. Rejects with the system's error. */
  listen(address: AsgiAddress): Promise<net.Server> {
    const unixPath = 'path' in address ? address.path : 'fd' in address ? address.unixPath : null;
    const onSocket = (socket: Socket): void => {
      // Accepting is Python, too: while a thread computes, the loop accepts no faster than it gets the lock, and other processes do.
      loopGil.enter();
      void new Connection(socket, this, unixPath);
    };
    const options = { allowHalfOpen: true };
    const files = this.config.tls;
    const onTlsSocket = (socket: tls.TLSSocket): void => {
      if (files && acceptsClient(socket, files)) onSocket(socket);
      else socket.destroy();
    };
    const server = files
      ? tls
          .createServer({ ...tlsOptions(files), ...options, ALPNProtocols: ['http/1.1'] }, onTlsSocket)
          .on('tlsClientError', () => {})
      : net.createServer(options, onSocket);
    const where = 'fd' in address ? { fd: address.fd } : address;
    return new Promise((done, fail) => {
      server.once('error', fail);
      server.listen({ ...where, backlog: this.config.backlog }, () => {
        server.off('error', fail);
        server.on('error', (error) => this.log.error(String(error)));
        this.#listeners.push(server);
        done(server);
      });
    });
  }

  /** Runs one request as a task. */
  run(cycle: Cycle, app: AsgiApp): void {
    this.#tasks++;
    this.#cycles.add(cycle);
    void cycle.run(app).finally(() => {
      this.#tasks--;
      this.#cycles.delete(cycle);
    });
  }

  /** Runs a WebSocket as a task. */
  onWebSocket(socket: Socket, handshake: Handshake, scope: WebSocketScope, rest: Buffer): void {
    const session = new WebSocketSession(socket, this, handshake, scope, rest);
    this.#sessions.add(session);
    this.#tasks++;
    void session.run().finally(() => {
      this.#tasks--;
      this.#sessions.delete(session);
    });
  }

  /** A second Ctrl-C: do not wait for anything more. */
  force(): void {
    this.#isForced = true;
  }

  /** Stops accepting, waits for connections and tasks up to the graceful timeout, then tells the application. */
  async shutdown(): Promise<void> {
    this.log.info('Shutting down');
    for (const listener of this.#listeners) listener.close();
    for (const connection of this.connections) connection.shutdown();
    for (const session of this.#sessions) session.shutdown();
    await pause(100);
    const deadline = this.config.gracefulMs === null ? Number.POSITIVE_INFINITY : Date.now() + this.config.gracefulMs;
    const isOver = (): boolean => this.#isForced || Date.now() >= deadline;
    if (this.connections.size > 0 && !this.#isForced) {
      this.log.info('Waiting for connections to close. (CTRL+C to force quit)');
      while (this.connections.size > 0 && !isOver()) await pause(100);
    }
    if (this.#tasks > 0 && !isOver()) {
      this.log.info('Waiting for background tasks to complete. (CTRL+C to force quit)');
      while (this.#tasks > 0 && !isOver()) await pause(100);
    }
    if ((this.connections.size > 0 || this.#tasks > 0) && isOver()) {
      if (!this.#isForced) {
        this.log.error(`Cancel ${this.#tasks} running task(s), timeout graceful shutdown exceeded`);
      }
      await Promise.all([...this.#cycles].map((cycle) => cycle.cancel()));
    }
    if (!this.#isForced) await this.stopApplication();
  }

  /** Tells the application that the process ends. */
  stopApplication(): Promise<void> {
    return this.#lifespan.shutdown();
  }
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));
