// One try at one upstream server: connecting (or taking a kept connection), sending the request, and what the connection
// tells until the response is complete or the try has failed. It owns the connection; which server is tried and what
// follows a failure is the business of UpstreamRequest. Mirrors ngx_http_upstream_connect, _send_request and the event
// handlers between them.
import { turnMs } from '../clock.ts';
import { errnoText } from '../config/error.ts';
import type { BodyStore } from '../http/request-body.ts';
import { connectFailure, connectFailureLevel, connectOptions } from './connect-options.ts';
import { type ConnectionOwner, UpstreamConnection } from './connection.ts';
import type { Peer } from './peer.ts';
import type { UpstreamRequest } from './request.ts';
import { type SenderOwner, StoredSender, type StreamedSender } from './request-sender.ts';
import { UpstreamResponse } from './response.ts';
import type { UpstreamState } from './state.ts';
import { certificateFault, noteCertificate, tlsNameOf } from './tls.ts';

export class Attempt implements ConnectionOwner, SenderOwner {
  readonly #u: UpstreamRequest;
  readonly peer: Peer;
  readonly state: UpstreamState;
  readonly #startMs = turnMs();
  connection: UpstreamConnection | undefined;
  response: UpstreamResponse | undefined;
  /** The connection was kept from an earlier request; the server may just have closed it. */
  isKept = false;
  isRequestSent = false;
  isBodySent = false;
  #sender: StoredSender | StreamedSender | undefined;
  #tlsName = '';
  #isOver = false;

  constructor(u: UpstreamRequest, peer: Peer, state: UpstreamState) {
    this.#u = u;
    this.peer = peer;
    this.state = state;
  }

  /** Takes a kept connection or makes one. */
  start(): void {
    const { peer } = this;
    const u = this.#u;
    const { settings, target } = u;
    const kept = u.choice!.upstream.pool?.take(peer.name);
    if (kept) {
      this.isKept = true;
      this.connection = kept;
      kept.serve(this);
      this.#send();
      return;
    }
    const { tls } = settings;
    if (target.isTls && tls) this.#tlsName = tlsNameOf(tls, u.r, target.upstream?.name ?? target.host);
    const options = connectOptions(u, peer, this.#tlsName);
    if (!options) {
      u.finalize(500);
      return;
    }
    const connection = new UpstreamConnection(peer.name, peer.address, options, this);
    this.connection = connection;
    connection.setDeadline(settings.connectTimeoutMs);
    if (!connection.isTls || !tls?.reusesSessions) return;
    connection.tlsSocket.on('session', (session: Buffer) => {
      peer.tlsSession = session;
    });
  }

  /** Milliseconds since it began. */
  elapsedMs(): number {
    return turnMs() - this.#startMs;
  }

  onConnect(): void {
    const u = this.#u;
    const connection = this.connection!;
    const { tls } = u.settings;
    if (connection.isTls && tls) {
      u.action = 'SSL handshaking to upstream';
      noteCertificate(connection.tlsSocket, this.peer);
      const fault = tls.verifies
        ? certificateFault(connection.tlsSocket, this.peer, this.#tlsName, tls.verifyDepth)
        : undefined;
      if (fault !== undefined) {
        u.log('error', fault);
        u.next('error');
        return;
      }
    }
    this.#send();
  }

  #send(): void {
    const u = this.#u;
    const connection = this.connection!;
    this.state.connectMs = this.elapsedMs();
    u.action = 'sending request to upstream';
    connection.requests++;
    connection.clearDeadline();
    this.isRequestSent = true;
    this.response = new UpstreamResponse(u);
    const { stream } = u;
    if (stream) {
      this.#sender = stream;
      stream.start(connection, u.head, u.maker.isChunked);
      return;
    }
    const store: BodyStore | undefined = u.maker.sendsBody ? u.r.body?.store : undefined;
    if (store === undefined && connection.write(u.head)) {
      this.onRequestSent();
      return;
    }
    const sender = new StoredSender(connection, this, store);
    this.#sender = sender;
    if (store) sender.start(u.head);
    else this.onBlocked(true);
  }

  onRequestSent(): void {
    if (this.isBodySent || this.#isOver) return;
    this.isBodySent = true;
    this.#sender = undefined;
    if (this.#u.isHeaderSent) return;
    this.#u.action = 'reading response header from upstream';
    this.connection!.setDeadline(this.#u.settings.readTimeoutMs);
  }

  onBlocked(isByServer: boolean): void {
    if (isByServer) this.connection!.setDeadline(this.#u.settings.sendTimeoutMs);
    else this.connection!.clearDeadline();
  }

  onBodyFailed(code: number): void {
    this.#u.finalize(code);
  }

  onDrain(): void {
    if (this.response?.isTunnel) this.response.serverDrained();
    else if (!this.#u.isHeaderSent && this.#sender) this.#sender.goOn();
  }

  onData(bytes: Buffer, length: number): void {
    this.state.bytesReceived += length;
    if (this.response) this.response.take(bytes, length);
    else this.connection!.destroy();
  }

  onEnd(): void {
    const u = this.#u;
    const connection = this.connection!;
    if (this.response?.isBegun) {
      this.response.ended();
      return;
    }
    if (connection.isConnected) {
      u.action = 'reading response header from upstream';
      u.log('error', 'upstream prematurely closed connection');
    } else {
      u.action = connection.isTransportConnected ? 'SSL handshaking to upstream' : 'connecting to upstream';
      u.log('error', 'peer closed connection in SSL handshake');
    }
    u.next('error');
  }

  onError(error: NodeJS.ErrnoException): void {
    const u = this.#u;
    const connection = this.connection!;
    if (!connection.isConnected) {
      if (connection.isTransportConnected) u.action = 'SSL handshaking to upstream';
      u.log(connectFailureLevel(error, connection), connectFailure(error, connection, this.peer));
      u.next('error');
      return;
    }
    const isWrite = error.syscall === 'write';
    const isBody = this.response?.isBegun === true;
    if (!isWrite && !isBody) u.action = 'reading response header from upstream';
    const call = isWrite ? 'writev()' : isBody && u.settings.isBuffering ? 'readv()' : 'recv()';
    u.log('error', `${call} failed ${errnoText(error)}`);
    if (isBody) this.response!.failed();
    else u.next('error');
  }

  onTimeout(): void {
    const u = this.#u;
    if (this.response?.isBegun) {
      this.response.timedOut();
      return;
    }
    const connection = this.connection!;
    if (!connection.isConnected && connection.isTransportConnected) u.action = 'SSL handshaking to upstream';
    u.next('timeout');
  }

  /** Notes what the state's variables show. */
  close(): void {
    const { state, connection } = this;
    if (state.responseMs < 0) state.responseMs = this.elapsedMs();
    if (connection) state.bytesSent = connection.bytesSent;
  }

  /** It failed: everything that it had is gone. */
  drop(): void {
    this.#isOver = true;
    this.#sender = undefined;
    this.response?.close();
    this.connection?.destroy();
    this.connection = undefined;
  }

  /** It is over: the connection rests in the pool if it may (`mayKeep`), or is closed. */
  giveBack(mayKeep: boolean): void {
    this.#isOver = true;
    const { connection } = this;
    this.connection = undefined;
    if (!connection) return;
    const pool = this.#u.choice!.upstream.pool;
    const isHealthy = mayKeep && this.isBodySent && !connection.isEnded && !connection.isFailed;
    if (pool && isHealthy && pool.accepts(connection)) pool.put(connection);
    else connection.destroy();
  }
}
