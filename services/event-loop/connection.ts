/**
 * One client connection of the ASGI side: bytes from the socket through the parser into cycles, one response at a time in the order of
 * the requests, keep-alive timeout, flow control both ways. Mirrors Uvicorn's HttpToolsProtocol.
 */
import type { Socket } from 'node:net';
import type { AsgiApp, HttpScope, WebSocketScope } from '../asgi.ts';
import { loopGil } from '../gil/loop.ts';
import { unquote } from '../http/environ.ts';
import { Cycle, type CycleConnection, serviceUnavailable } from './cycle.ts';
import { Flag } from './flow.ts';
import { applyProxyHeaders } from './proxy-headers.ts';
import { InvalidRequest, type RequestHandler, type RequestHead, RequestParser } from './request-parser.ts';
import type { AsgiServer } from './server.ts';

const NEW_CONNECTION_MS = 80;
// How long after a response the next request of a busy client is still expected when the server stops. Uvicorn closes at once, and the
// request that is on the way at that moment is lost; a POST is not retried by any proxy.
const RECENT_MS = 250;

/** Both ends as the scope has them. */
interface Ends {
  readonly client: readonly [string, number] | null;
  readonly server: readonly [string, number | null] | null;
}

/** A connection that the server has accepted. */
export class Connection implements CycleConnection, RequestHandler {
  readonly writable = new Flag(true);
  readonly #socket: Socket;
  readonly #server: AsgiServer;
  readonly #ends: Ends;
  readonly #scheme: string;
  readonly #parser = new RequestParser(this);
  readonly #waiting: [Cycle, AsgiApp][] = [];
  #cycle: Cycle | null = null;
  #keepAliveTimer: NodeJS.Timeout | null = null;
  #idleSince = 0;
  #isClosing = false;
  #isCorked = false;
  #isTakenOver = false;
  #isLast = false;

  constructor(socket: Socket, server: AsgiServer, unixPath: string | null) {
    this.#socket = socket;
    this.#server = server;
    this.#scheme = 'encrypted' in socket ? 'https' : 'http';
    this.#ends = {
      client: socket.remoteAddress === undefined ? null : [socket.remoteAddress, socket.remotePort ?? 0],
      server: unixPath === null ? [socket.localAddress ?? '', socket.localPort ?? 0] : [unixPath, null],
    };
    server.connections.add(this);
    socket.setNoDelay(true);
    socket.on('data', this.#onData);
    socket.on('drain', this.#onDrain);
    socket.on('error', () => {});
    socket.on('end', () => this.close());
    socket.on('close', this.#onClose);
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  readonly #onData = (bytes: Buffer): void => {
    loopGil.enter();
    this.#disarm();
    try {
      this.#parser.feed(bytes);
    } catch (error) {
      if (!(error instanceof InvalidRequest)) throw error;
      const { dialect } = this.#server.config;
      if (dialect.logsUpgrades) this.#server.log.warning('Invalid HTTP request received.');
      this.#refuse(dialect.invalid(error, this.#server.defaultHeaders()));
    }
  };

  readonly #onDrain = (): void => this.writable.set();

  readonly #onClose = (): void => {
    loopGil.enter();
    this.#isClosing = true;
    this.#server.connections.delete(this);
    this.#disarm();
    if (this.#isTakenOver) return;
    if (this.#cycle && !this.#cycle.isComplete) this.#cycle.isDisconnected = true;
    this.#cycle?.changed.set();
    this.writable.set();
  };

  onHead(received: RequestHead, rest: () => Buffer): boolean {
    const { config } = this.#server;
    const { dialect } = config;
    const head = dialect.filter(received);
    if (head instanceof Uint8Array) {
      this.#takeOver();
      this.#refuse(head);
      return true;
    }
    const upgrade = head.headers.findLast(([name]) => name === 'upgrade')?.[1].toLowerCase();
    const isWebSocket = head.isUpgrade && upgrade === 'websocket' && config.hasWebSockets;
    const scope = this.#scope(head, isWebSocket);
    if (config.trusted) applyProxyHeaders(scope, head.headers, config.trusted, dialect.believesClient);
    if (isWebSocket) {
      const handshake = dialect.handshake(head, config.webSocketDeflate);
      this.#takeOver();
      if ('bytes' in handshake) {
        if (handshake.log) this.#server.log.info(handshake.log);
        this.#refuse(handshake.bytes);
      } else this.#server.onWebSocket(this.#socket, handshake, scope as WebSocketScope, rest());
      return true;
    }
    if (head.isUpgrade && dialect.logsUpgrades) this.#server.log.warning('Unsupported upgrade request.');
    const header = (name: string): string | undefined => head.headers.find(([each]) => each === name)?.[1];
    const cycle = new Cycle(scope as HttpScope, this, this.#server.forCycles, {
      keepAlive: (dialect.knowsHttp10 || head.version !== '1.0') && head.keepsAlive && !this.#isLast,
      expectsContinue: header('expect')?.toLowerCase() === '100-continue',
      requestStart: header('x-request-start') ?? null,
    });
    const app = this.#server.isOverLimit() ? serviceUnavailable : this.#server.app;
    if (app === serviceUnavailable) this.#server.log.warning('Exceeded concurrency limit.');
    const before = this.#cycle;
    this.#cycle = cycle;
    if (before === null || before.isComplete) this.#server.run(cycle, app);
    else {
      this.pauseReading();
      this.#waiting.push([cycle, app]);
    }
    return false;
  }

  onBody(bytes: Buffer): void {
    if (this.#cycle && !this.#cycle.isComplete) this.#cycle.addBody(bytes);
  }

  onTrailers(fields: readonly (readonly [string, string])[]): void {
    this.#cycle?.addTrailers(fields);
  }

  onComplete(): void {
    if (!this.#cycle || this.#cycle.isComplete) return;
    this.#cycle.moreBody = false;
    this.#cycle.changed.set();
  }

  #scope(head: RequestHead, isWebSocket: boolean): HttpScope | WebSocketScope {
    const { config } = this.#server;
    const mark = head.target.indexOf('?');
    const hash = head.target.indexOf('#');
    const stop = hash < 0 ? head.target.length : hash;
    const rawPath = originPath(mark < 0 || mark > stop ? head.target.slice(0, stop) : head.target.slice(0, mark));
    const path = rawPath.includes('%') ? Buffer.from(unquote(rawPath), 'latin1').toString('utf8') : rawPath;
    const base = {
      asgi: { version: '3.0', spec_version: isWebSocket ? '2.4' : '2.3' },
      http_version: head.version,
      server: this.#ends.server,
      client: this.#ends.client,
      scheme: isWebSocket ? this.#scheme.replace('http', 'ws') : this.#scheme,
      root_path: config.rootPath,
      path: config.rootPath + path,
      raw_path: Buffer.from(config.rootPath + rawPath, 'latin1'),
      query_string: Buffer.from(mark < 0 || mark > stop ? '' : head.target.slice(mark + 1, stop), 'latin1'),
      headers: head.headers.map(
        ([name, value]) => [Buffer.from(name, 'latin1'), Buffer.from(value, 'latin1')] as const,
      ),
      state: { ...this.#server.state },
    };
    if (!isWebSocket) return { type: 'http', method: head.method, ...base };
    const offered = head.headers.filter(([name]) => name === 'sec-websocket-protocol').map(([, value]) => value);
    const subprotocols = offered
      .join(',')
      .split(',')
      .map((each) => each.trim())
      .filter((each) => each !== '');
    return { type: 'websocket', subprotocols, ...base };
  }

  #refuse(answer: Buffer): void {
    if (!this.#isTakenOver) {
      this.write(answer);
      this.close();
    } else this.#socket.end(answer, () => this.#socket.destroy());
  }

  #takeOver(): void {
    this.#isTakenOver = true;
    this.#socket.off('data', this.#onData);
    this.#socket.off('drain', this.#onDrain);
    this.#socket.pause();
    this.#server.connections.delete(this);
  }

  onResponseComplete(): void {
    this.#server.totalRequests++;
    if (this.#isClosing) return;
    this.#disarm();
    const next = this.#waiting.shift();
    if (next) {
      this.#server.run(...next);
      return;
    }
    this.resumeReading();
    this.#idleSince = performance.now();
    this.#keepAliveTimer = setTimeout(() => this.close(), this.#server.config.keepAliveMs);
  }

  #disarm(): void {
    if (this.#keepAliveTimer) clearTimeout(this.#keepAliveTimer);
    this.#keepAliveTimer = null;
  }

  /**
   * Graceful: an idle connection closes now, a busy one after its response. One that is new, or was busy a moment ago, gets another moment:
   * its request is on the way, and the answer to it says that it was the last.
   */
  shutdown(): void {
    this.#isLast = true;
    if (this.#cycle && !this.#cycle.isComplete) {
      this.#cycle.keepAlive = false;
      return;
    }
    this.#disarm();
    const graceMs = this.#cycle ? this.#idleSince + RECENT_MS - performance.now() : NEW_CONNECTION_MS;
    const closeIdle = (): void => {
      if (!this.#cycle || this.#cycle.isComplete) this.close();
    };
    if (graceMs <= 0) closeIdle();
    else setTimeout(closeIdle, graceMs);
  }

  write(data: Buffer): void {
    if (this.#socket.writable && !this.#socket.write(data)) this.writable.clear();
  }

  cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#isCorked = false;
      this.#socket.uncork();
    });
  }

  close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#disarm();
    this.#socket.end(() => this.#socket.destroy());
  }

  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    if (this.#waiting.length === 0 && !this.#isTakenOver && this.#socket.isPaused()) this.#socket.resume();
  }
}

// absolute-form: only the path counts, as in Uvicorn.
function originPath(target: string): string {
  if (target.startsWith('/') || target === '*') return target;
  return /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/[^/]*(\/.*)?$/.exec(target)?.[1] ?? '/';
}
