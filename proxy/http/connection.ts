// The client side of HTTP/1.x: one connection, its requests one after another. It reads heads (strictly, within
// nginx's buffer limits), frames responses, keeps alive, pipelines, lingers, and gives the connection away on an
// upgrade. Data flow only; what a request means is the Exchange's business. Mirrors ngx_http_request.c.
import type { Socket } from 'node:net';
import { coreModule } from '../modules/core-rows.ts';
import { Deadline } from '../timer.ts';
import { BodyFeed } from './body-feed.ts';
import { type ClientConnection, counters } from './client.ts';
import { HEADER_TOO_LARGE } from './codes.ts';
import type { Downstream, Exchange, RawDownstream } from './exchange.ts';
import { closeExchange } from './finalize.ts';
import { type HeadFaultResult, type HeadResult, readHead } from './head-reader.ts';
import { settleFraming } from './http1-head.ts';
import { Http1Output } from './http1-output.ts';
import { openConnections, shutdown } from './open-connections.ts';
import { applyCutHead, applyFault, applyHead, openExchange } from './open-exchange.ts';
import { ReadAhead } from './read-ahead.ts';
import { ClientTunnel } from './tunnel.ts';

/** How long after a response the next request is still expected when the worker is asked to stop. */
const RECENT_MS = 250;

type State = 'idle' | 'head' | 'busy' | 'lingering' | 'raw' | 'closed';

/** Serves HTTP/1.x on an accepted (and, for TLS, secured) socket. Plain requests to a TLS port get 497. */
export function serveHttp1(socket: Socket, client: ClientConnection): Http1Connection {
  return new Http1Connection(socket, client);
}

export class Http1Connection implements Downstream {
  readonly socket: Socket;
  readonly client: ClientConnection;
  /** Bytes of the next request came with the one before (`$pipe`). */
  #isPipelined = false;
  readonly #deadline: Deadline;
  #state: State = 'idle';
  /** When the last response was out; a connection that has had none is not idle but new. */
  #idleSince = Number.POSITIVE_INFINITY;
  readonly #ahead: ReadAhead;
  #isClientGone = false;
  #r: Exchange | undefined;
  readonly #body: BodyFeed;
  readonly #output: Http1Output;
  #isDone = false;
  #lingerUntil = 0;
  #lingerStepMs = 0;
  #tunnel: ClientTunnel | undefined;

  constructor(socket: Socket, client: ClientConnection) {
    this.socket = socket;
    this.client = client;
    this.#deadline = new Deadline(() => this.#expired());
    this.#ahead = new ReadAhead(socket);
    this.#body = new BodyFeed(this.#ahead, this.#deadline, () => this.#tryComplete());
    this.#output = new Http1Output(
      socket,
      () => this.#sendExpired(),
      () => this.#onDrain(),
      client.tls ? () => this.#written() : undefined,
    );
    openConnections.add(this);
    counters.active++;
    counters.waiting++;
    this.#deadline.set(coreModule.server(client.listen.defaultServer).client_header_timeout);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('end', () => this.#onEnd());
    socket.on('drain', () => this.#onDrain());
    socket.on('error', () => this.#onClose());
    socket.on('close', () => this.#onClose());
  }

  /**
   * Something was served, but not a moment ago: it may be closed. A connection that is to bring its first request is
   * waited for, as by nginx, which closes the others at once and so loses the request that a busy client has just sent;
   * here a reload under load loses none.
   */
  get isIdle(): boolean {
    return this.#state === 'idle' && performance.now() - this.#idleSince > RECENT_MS;
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.socket.destroy();
    this.#onClose();
  }

  // ---- reading

  #onData(chunk: Buffer): void {
    switch (this.#state) {
      case 'raw':
        this.#tunnel!.onData(chunk);
        return;
      case 'busy':
        if (this.#body.isOpen) this.#body.take(chunk);
        else this.#ahead.add(chunk);
        return;
      case 'lingering':
        this.#linger();
        return;
      case 'closed':
        return;
      default:
        if (this.#state === 'idle' && !this.#ahead.isEmpty) this.#isPipelined = true;
        this.#readHead(this.#ahead.takeWith(chunk));
    }
  }

  /** Takes bytes that are only valid until this returns: heads are parsed in place, the rest is copied. */
  readShared(bytes: Buffer): void {
    if ((this.#state === 'idle' || this.#state === 'head') && this.#ahead.isEmpty) this.#readHead(bytes, true);
    else this.#onData(Buffer.from(bytes));
  }

  /** Parses one head out of `buf`, or keeps the bytes (copied, when they are shared) for later. */
  #readHead(buf: Buffer, isShared = false): void {
    let from = 0;
    // Empty lines before a request are skipped (RFC 9112 2.2).
    while (from < buf.length && (buf[from] === 13 || buf[from] === 10)) from++;
    if (from === buf.length) return;
    const conf = coreModule.server(this.client.sniServer ?? this.client.listen.defaultServer);
    if (this.#state === 'idle') {
      this.#state = 'head';
      counters.waiting--;
      counters.reading++;
      this.#deadline.set(conf.client_header_timeout);
    }
    const result = readHead(buf, from, conf);
    if (result.kind === 'more') this.#ahead.set(rest(buf, from, isShared));
    else if (result.kind === 'head') this.#request(result, buf, from, isShared);
    else this.#refuse(result);
  }

  #open(): Exchange {
    const r = openExchange(this.client, this);
    r.isPipelined = this.#isPipelined;
    this.#isPipelined = false;
    return r;
  }

  /** Answers a head that cannot be served; what follows it on the connection is never read. */
  #refuse(fault: HeadFaultResult): void {
    const r = this.#open();
    const code = applyFault(r, fault);
    this.#begin(r, EMPTY);
    if (code === 414 || code === HEADER_TOO_LARGE) r.isLingering = true;
    r.finalize(code);
  }

  /** The client went away within a head: there is nobody to answer, but a line to log. */
  #cutHead(): void {
    const bytes = this.#ahead.take();
    if (!bytes) return;
    const r = this.#open();
    applyCutHead(r, bytes);
    r.out.status = 400;
    closeExchange(r);
  }

  /** Marks the exchange as the current one; `rest` are the bytes behind its head. */
  #begin(r: Exchange, rest: Buffer): void {
    this.#r = r;
    this.#state = 'busy';
    this.#isDone = false;
    this.#body.reset();
    this.#ahead.set(rest);
    this.#deadline.clear();
    counters.reading--;
    counters.writing++;
  }

  #request(head: HeadResult & { kind: 'head' }, buf: Buffer, from: number, isShared: boolean): void {
    const r = this.#open();
    this.#begin(r, rest(buf, from + head.length, isShared));
    const code = applyHead(r, head, buf, from);
    if (code) r.finalize(code);
    else r.run();
  }

  // ---- body

  startBody(r: Exchange): void {
    this.#body.start(r);
    if (this.#isClientGone) this.#body.cut();
  }

  sendContinue(): void {
    if (!this.#r || this.#r.isHeadSent) return;
    this.socket.write(CONTINUE, 'latin1');
    this.#r.bytesSent += CONTINUE.length;
  }

  pauseBody(): void {
    this.#body.pause();
  }

  resumeBody(): void {
    this.#body.resume();
    if (this.#isClientGone) this.#body.cut();
  }

  // ---- events of the socket

  #onEnd(): void {
    this.#isClientGone = true;
    switch (this.#state) {
      case 'raw':
        this.#tunnel!.onEnd();
        return;
      case 'busy':
        if (this.#body.isReading) this.#body.cut();
        else {
          const r = this.#r!;
          if (r.onAbort && !r.isResponseEnded) r.onAbort();
        }
        if (this.#isDone) this.#tryComplete();
        return;
      case 'closed':
        return;
      default:
        if (this.#state === 'head') this.#cutHead();
        this.#close();
    }
  }

  #onClose(): void {
    if (this.#state === 'closed') return;
    const state = this.#state;
    this.#state = 'closed';
    this.#deadline.close();
    this.#output.close();
    openConnections.delete(this);
    counters.active--;
    if (state === 'idle') counters.waiting--;
    else if (state === 'head') counters.reading--;
    const tunnel = this.#tunnel;
    this.#tunnel = undefined;
    tunnel?.onEnd();
    const r = this.#r;
    this.#r = undefined;
    if (r && state !== 'lingering') {
      if (!r.isFinished) {
        const abort = r.onAbort;
        r.onAbort = undefined;
        abort?.();
        if (r.body && !r.body.isComplete) r.body.fail(499);
        if (!r.isFinished && !r.survivesClient) this.#finishExchange(r);
      }
    }
    if (!this.socket.destroyed) this.socket.destroy();
  }

  #finishExchange(r: Exchange): void {
    if (r.out.status === 0) r.out.status = r.errStatus || 499;
    closeExchange(r);
    counters.writing--;
  }

  #onDrain(): void {
    this.#output.drained();
    if (this.#tunnel) {
      this.#tunnel.onDrain?.();
      return;
    }
    this.#r?.drained();
    this.#tryComplete();
  }

  #expired(): void {
    switch (this.#state) {
      case 'head': {
        const r = this.#open();
        r.out.status = 408;
        r.log('info', 'client timed out while reading client request headers');
        closeExchange(r);
        this.#close();
        return;
      }
      case 'busy':
        if (!this.#body.expire()) this.#close();
        return;
      default:
        this.#close();
    }
  }

  // ---- writing

  get isBackedUp(): boolean {
    return this.#output.isBackedUp;
  }

  get isFlushed(): boolean {
    return this.#output.isFlushed;
  }

  sendHead(r: Exchange): void {
    settleFraming(r, shutdown.isExiting);
    this.#output.sendHead(r);
  }

  write(chunk: Buffer | string): boolean {
    const r = this.#r;
    if (!r || this.#state === 'closed') return true;
    this.#output.write(r, chunk);
    return !this.#output.isBackedUp;
  }

  sendFile(fd: number, at: number, count: number): number {
    const r = this.#r;
    if (!r || this.client.tls || this.#state === 'closed') return 0;
    return this.#output.sendFile(r, fd, at, count);
  }

  flush(): void {
    if (this.#state !== 'closed') this.#output.flush();
  }

  end(): void {
    const r = this.#r;
    if (!r) return;
    this.#output.end(r);
    if (this.#isDone) this.#tryComplete();
  }

  finished(r: Exchange): void {
    if (this.#r !== r) {
      closeExchange(r);
      return;
    }
    this.#isDone = true;
    this.#body.isDraining = true;
    this.#tryComplete();
  }

  /** Goes on once the exchange is over, its response out, and its body read. */
  #tryComplete(): void {
    const r = this.#r;
    if (!r || !this.#isDone || this.#state !== 'busy') return;
    if (!r.isResponseEnded || this.isBackedUp) return;
    this.#output.flush();
    if (this.socket.writableLength > 0) {
      if (!this.isBackedUp) this.#awaitTail(r);
      return;
    }
    const body = r.body;
    if (!r.isFinished) {
      if (body && !body.isComplete && !body.isDiscarded) {
        if (this.#body.isReading) {
          r.isKeepalive = false;
          r.isLingering = true;
        } else body.discard();
      }
      closeExchange(r);
      counters.writing--;
    }
    if (body?.isDiscarded && !body.isComplete && !body.isBroken && !this.#isClientGone) {
      // The rest of a discarded body is read before the next request, or the end, for a while.
      this.#deadline.set(coreModule.location(r.location).lingering_timeout);
      return;
    }
    this.#next(r);
  }

  /** The socket has written what it was given, and TLS is told so each time. */
  #written(): void {
    if (!this.#isDone || !this.#r) return;
    // A stream that is closed while it calls back makes an error, with its stack, that nobody gets.
    if (this.#r.isKeepalive) this.#tryComplete();
    else process.nextTick(() => this.#tryComplete());
  }

  /** Comes back when what is buffered, too little for a 'drain' event, has left. */
  #awaitTail(r: Exchange): void {
    if (this.client.tls) return;
    this.socket.write('', () => {
      if (this.#r === r) this.#tryComplete();
    });
  }

  #sendExpired(): void {
    const r = this.#r;
    r?.log('info', 'client timed out while sending response to client');
    if (r) r.isKeepalive = false;
    this.destroy();
  }

  #next(r: Exchange): void {
    const conf = coreModule.location(r.location);
    this.#body.reset();
    if (r.isKeepalive && conf.keepalive_timeout.timeoutMs > 0 && !this.#isClientGone) {
      this.#r = undefined;
      this.#state = 'idle';
      this.#idleSince = performance.now();
      counters.waiting++;
      this.#deadline.set(conf.keepalive_timeout.timeoutMs);
      // Pipelined: not recursively, or a long pipeline would overflow the stack.
      if (!this.#ahead.isEmpty) setImmediate(nextRequest, this);
      this.#ahead.resume();
      return;
    }
    const lingers =
      conf.lingering_close === 'always' || (conf.lingering_close === 'on' && (r.isLingering || !this.#ahead.isEmpty));
    this.#r = undefined;
    if (lingers && !this.#isClientGone) {
      this.#state = 'lingering';
      this.#ahead.take();
      this.#lingerUntil = performance.now() + conf.lingering_time;
      this.#lingerStepMs = conf.lingering_timeout;
      this.#deadline.set(conf.lingering_timeout);
      this.socket.end();
      this.#ahead.resume();
      return;
    }
    this.#close();
  }

  #linger(): void {
    const left = this.#lingerUntil - performance.now();
    if (left <= 0) this.#close();
    else this.#deadline.set(Math.min(left, this.#lingerStepMs));
  }

  /** Reads the request that came behind the last one. */
  readPipelined(): void {
    if (this.#state !== 'idle') return;
    const rest = this.#ahead.take();
    if (!rest) return;
    this.#isPipelined = true;
    this.#readHead(rest);
  }

  #close(): void {
    if (this.#state === 'closed') return;
    this.socket.destroySoon();
    // With bytes still on their way the books are closed when the socket is.
    if (this.socket.writableLength === 0) this.#onClose();
    else this.#output.expectProgress(60_000);
  }

  abort(): void {
    const r = this.#r;
    if (this.#state === 'closed') return;
    if (r) this.#output.discard(r);
    if (r && !r.isFinished) this.#finishExchange(r);
    this.#r = undefined;
    if (this.#state === 'busy') this.#state = 'lingering';
    this.#close();
  }

  // ---- upgrade

  takeOver(r: Exchange, onData: (chunk: Buffer) => void, onEnd: () => void): RawDownstream {
    this.flush();
    this.#state = 'raw';
    const tunnel = new ClientTunnel(r, this.socket, this.#output, {
      data: onData,
      end: onEnd,
      ended: () => this.#tunnelEnded(r),
    });
    this.#tunnel = tunnel;
    const rest = this.#ahead.take();
    this.#ahead.resume();
    if (rest) process.nextTick(() => this.#tunnel?.onData(rest));
    return tunnel;
  }

  #tunnelEnded(r: Exchange): void {
    this.#tunnel = undefined;
    if (this.#state === 'closed') return;
    this.#state = 'busy';
    r.isResponseEnded = true;
    r.isKeepalive = false;
  }
}

const EMPTY = Buffer.alloc(0);
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

/** Bytes of `buf` from `at` on, to be kept. */
function rest(buf: Buffer, at: number, isShared: boolean): Buffer {
  if (at === buf.length) return EMPTY;
  const bytes = at === 0 ? buf : buf.subarray(at);
  return isShared ? Buffer.from(bytes) : bytes;
}

function nextRequest(connection: Http1Connection): void {
  connection.readPipelined();
}
