// One request on its way to a group of upstream servers: choosing a server, connecting (or taking a kept connection),
// sending, trying the next server when one fails, and giving everything back at the end. What the server answers is the
// business of response.ts. It is the owner of the connection that it uses, and what `r.upstream` shows. Mirrors
// ngx_http_upstream_t and the flow of ngx_http_upstream.c; no promises, one object a request.
import { errnoText } from '../config/error.ts';
import { CLIENT_CLOSED, DECLINED, DONE, ERROR, OK } from '../http/codes.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Fields } from '../http/head.ts';
import type { RequestBody } from '../http/request-body.ts';
import { PeerChoice } from './balance.ts';
import { RequestCache } from './cache/request-cache.ts';
import { connectFailure, connectOptions } from './connect-options.ts';
import { UpstreamConnection } from './connection.ts';
import { countsAgainstPeer, type FailureKind, isNonIdempotent, mayTryNext, statusOfFailure } from './next-upstream.ts';
import type { Peer } from './peer.ts';
import { type SenderOwner, StoredSender, StreamedSender } from './request-sender.ts';
import { redirectInside, UpstreamResponse } from './response.ts';
import type { UpstreamHead } from './response-head.ts';
import type { UpstreamSettings, UpstreamTarget } from './settings.ts';
import { newUpstreamState, type UpstreamState, type UpstreamView } from './state.ts';
import { findUpstream } from './target.ts';
import { certificateFault, tlsNameOf } from './tls.ts';

/** What a protocol module knows of the request: its head, made when the body's length is known. */
export interface RequestMaker {
  /** The whole head (and a body of its own, if the configuration sets one). */
  head(u: UpstreamRequest): string;
  /** The path and query that the head asks for. */
  readonly uri: string;
  /** What a response is kept under unless the configuration says otherwise. */
  readonly cacheKey: string;
  /** The method that is sent; HEAD has no body in its answer. */
  readonly method: string;
  /** Whether the client's body goes with it. */
  readonly sendsBody: boolean;
  /** Whether an unbuffered body is framed in chunks. */
  readonly isChunked: boolean;
}

/** What a request is doing, in the words that the log puts behind `while`. */
export type Action =
  | 'connecting to upstream'
  | 'SSL handshaking to upstream'
  | 'sending request to upstream'
  | 'reading response header from upstream'
  | 'reading upstream'
  | 'proxying upgraded connection'
  | 'sending to client';

export class UpstreamRequest implements UpstreamView, SenderOwner {
  readonly r: Exchange;
  readonly settings: UpstreamSettings;
  readonly target: UpstreamTarget;
  readonly maker: RequestMaker;
  /** Passes the body on as the client sends it; undefined when it is read whole first. */
  #stream: StreamedSender | undefined;
  choice: PeerChoice | undefined;
  connection: UpstreamConnection | undefined;
  state: UpstreamState | undefined;
  action: Action = 'connecting to upstream';
  fields: Fields | undefined;
  readonly trailers = undefined;
  cache: RequestCache | undefined;
  /** The connection may serve another request after this response. */
  mayKeepAlive = false;
  isHeaderSent = false;
  #peer: Peer | undefined;
  #peerName = '';
  #isCached = false;
  #isRequestSent = false;
  #isBodySent = false;
  #startMs = 0;
  #firstStartMs = 0;
  #sender: StoredSender | StreamedSender | undefined;
  #response: UpstreamResponse | undefined;
  #head: string | undefined;
  #tlsName = '';
  #isReleased = false;
  #isOver = false;
  #withdraw: (() => void) | undefined;

  constructor(r: Exchange, settings: UpstreamSettings, target: UpstreamTarget, maker: RequestMaker) {
    this.r = r;
    this.settings = settings;
    this.target = target;
    this.maker = maker;
  }

  get cacheStatus(): string | undefined {
    return this.cache?.status;
  }

  get cacheCondition(): { lastModified: number; etag: string } | undefined {
    return this.cache?.condition;
  }

  /** The body goes to the server while the client still sends it. */
  get isBodyUnbuffered(): boolean {
    return this.#stream !== undefined;
  }

  /** Asks for that, before `start`. A body that has come whole is not streamed. */
  streamBody(body: RequestBody): void {
    const stream = new StreamedSender(this.r, body, this);
    const store = stream.prime();
    if (store) body.store = store;
    else this.#stream = stream;
  }

  get hostHeader(): string {
    return this.target.hostHeader;
  }

  get portText(): string {
    return this.target.portText;
  }

  logUrl(): string | undefined {
    return this.#peerName === '' ? undefined : `${this.target.schema}${this.#peerName}${this.maker.uri}`;
  }

  log(level: 'crit' | 'error' | 'warn' | 'info', message: string): void {
    this.r.log(level, `${message} while ${this.action}`);
  }

  /** The request's body is there (or will be streamed): begin. */
  start(): void {
    const { r, settings } = this;
    if (this.#isOver) return;
    r.survivesClient = settings.ignoresClientAbort;
    if (!settings.ignoresClientAbort) r.onAbort = () => this.#clientGone();
    r.onCleanup(() => this.#release(ERROR));
    if (settings.cache) {
      const cache = RequestCache.of(this, settings.cache);
      if (typeof cache === 'number') {
        this.finalize(cache);
        return;
      }
      this.cache = cache;
      if (cache) {
        this.#openCache(cache);
        return;
      }
    }
    this.#begin();
  }

  #openCache(cache: RequestCache): void {
    if (this.#isOver) return;
    const verdict = cache.open();
    if (verdict === 'wait') cache.entry.wait(() => this.#openCache(cache));
    else if (verdict === 'upstream') this.#begin();
    else if (typeof verdict === 'number') this.finalize(verdict);
  }

  #begin(): void {
    const { r } = this;
    this.#head = this.maker.head(this);
    if (r.upstreamStates === undefined) r.upstreamStates = [];
    else r.upstreamStates.push(newUpstreamState(''));
    const { upstream } = this.target;
    if (upstream && !upstream.refresher) {
      this.#choose(new PeerChoice(upstream));
      return;
    }
    const withdraw = findUpstream(this, (found) => {
      this.#withdraw = undefined;
      if (this.#isOver) return;
      if (typeof found === 'number') this.finalize(found);
      else this.#choose(new PeerChoice(found));
    });
    if (!this.choice && !this.#isOver) this.#withdraw = withdraw;
  }

  #choose(choice: PeerChoice): void {
    const { nextTries } = this.settings;
    if (nextTries > 0 && choice.triesLeft > nextTries) choice.triesLeft = nextTries;
    this.choice = choice;
    this.#firstStartMs = Date.now();
    this.#connect();
  }

  #connect(): void {
    const { r, settings } = this;
    this.action = 'connecting to upstream';
    if (this.state && this.state.responseMs < 0) this.state.responseMs = Date.now() - this.#startMs;
    const choice = this.choice!;
    const peer = choice.pick(r);
    const state = newUpstreamState(peer ? peer.name : choice.upstream.name);
    r.upstreamStates!.push(state);
    this.state = state;
    this.#startMs = Date.now();
    this.#peerName = state.peer;
    this.#isRequestSent = false;
    this.#isBodySent = false;
    this.#isCached = false;
    this.#peer = peer;
    if (!peer) {
      this.log('error', 'no live upstreams');
      this.next('no_live');
      return;
    }
    const kept = choice.upstream.pool?.take(peer.name);
    if (kept) {
      this.#isCached = true;
      this.connection = kept;
      kept.serve(this);
      this.#send();
      return;
    }
    const { tls } = settings;
    if (this.target.isTls && tls) this.#tlsName = tlsNameOf(tls, r, this.target.upstream?.name ?? this.target.host);
    const options = connectOptions(this, peer, this.#tlsName);
    if (!options) {
      this.finalize(500);
      return;
    }
    this.connection = new UpstreamConnection(peer.name, peer.address, options, this);
    this.connection.setDeadline(settings.connectTimeoutMs);
    if (this.connection.isTls && tls?.reusesSessions) {
      this.connection.tlsSocket.on('session', (session: Buffer) => {
        peer.tlsSession = session;
      });
    }
  }

  // ---- the connection tells

  onConnect(): void {
    const connection = this.connection!;
    const { tls } = this.settings;
    if (connection.isTls && tls) {
      this.action = 'SSL handshaking to upstream';
      const fault = tls.verifies ? certificateFault(connection.tlsSocket, this.#tlsName, tls.verifyDepth) : undefined;
      if (fault !== undefined) {
        this.log('error', fault);
        this.next('error');
        return;
      }
    }
    this.#send();
  }

  #send(): void {
    const { r } = this;
    const connection = this.connection!;
    this.state!.connectMs = Date.now() - this.#startMs;
    this.action = 'sending request to upstream';
    connection.requests++;
    connection.clearDeadline();
    this.#isRequestSent = true;
    this.#response = new UpstreamResponse(this);
    if (this.#stream) {
      this.#sender = this.#stream;
      this.#stream.start(connection, this.#head!, this.maker.isChunked);
      return;
    }
    const store = this.maker.sendsBody ? r.body?.store : undefined;
    if (store === undefined) {
      if (connection.write(this.#head!)) this.onRequestSent();
      else {
        this.#sender = new StoredSender(connection, this, undefined);
        this.onBlocked(true);
      }
      return;
    }
    const sender = new StoredSender(connection, this, store);
    this.#sender = sender;
    sender.start(this.#head!);
  }

  onRequestSent(): void {
    if (this.#isBodySent || this.#isReleased) return;
    this.#isBodySent = true;
    this.#sender = undefined;
    if (this.isHeaderSent) return;
    this.action = 'reading response header from upstream';
    this.connection!.setDeadline(this.settings.readTimeoutMs);
  }

  onBlocked(isByServer: boolean): void {
    if (isByServer) this.connection!.setDeadline(this.settings.sendTimeoutMs);
    else this.connection!.clearDeadline();
  }

  onBodyFailed(code: number): void {
    this.finalize(code);
  }

  onDrain(): void {
    if (this.#response?.isTunnel) this.#response.serverDrained();
    else if (!this.isHeaderSent && this.#sender) this.#sender.goOn();
  }

  onData(bytes: Buffer, length: number): void {
    this.state!.bytesReceived += length;
    const response = this.#response;
    if (response) response.take(bytes, length);
    else this.connection!.destroy();
  }

  onEnd(): void {
    if (this.#response?.isBegun) {
      this.#response.ended();
      return;
    }
    if (!this.connection!.isConnected) {
      this.action = this.connection!.isTransportConnected ? 'SSL handshaking to upstream' : 'connecting to upstream';
      this.log('error', 'peer closed connection in SSL handshake');
    } else {
      this.action = 'reading response header from upstream';
      this.log('error', 'upstream prematurely closed connection');
    }
    this.next('error');
  }

  onError(error: NodeJS.ErrnoException): void {
    const connection = this.connection!;
    if (!connection.isConnected) {
      if (connection.isTransportConnected) this.action = 'SSL handshaking to upstream';
      this.log('error', connectFailure(error, connection, this.#peer!));
      this.next('error');
      return;
    }
    const isWrite = error.syscall === 'write';
    const isBody = this.#response?.isBegun === true;
    if (!isWrite && !isBody) this.action = 'reading response header from upstream';
    const call = isWrite ? 'writev()' : isBody && this.settings.isBuffering ? 'readv()' : 'recv()';
    this.log('error', `${call} failed ${errnoText(error)}`);
    if (isBody) this.#response!.failed();
    else this.next('error');
  }

  onTimeout(): void {
    if (this.#response?.isBegun) {
      this.#response.timedOut();
      return;
    }
    const connection = this.connection!;
    if (!connection.isConnected && connection.isTransportConnected) this.action = 'SSL handshaking to upstream';
    this.next('timeout');
  }

  #clientGone(): void {
    if (this.cache?.isCacheable) {
      // The response is wanted all the same: by the cache.
      this.r.survivesClient = true;
      this.#response?.clientGone();
      return;
    }
    this.log(
      'info',
      'epoll_wait() reported that client prematurely closed connection, so upstream connection is closed too',
    );
    this.finalize(CLIENT_CLOSED);
  }

  // ---- the end of a try

  /** Milliseconds since this try began. */
  elapsedMs(): number {
    return Date.now() - this.#startMs;
  }

  /** Whether a response of this status would be followed by another try. */
  wouldTryNext(kind: FailureKind): boolean {
    return this.choice!.triesLeft > 1 && this.#mayTryNext(kind);
  }

  #mayTryNext(kind: FailureKind): boolean {
    const { settings, r } = this;
    return mayTryNext(kind, {
      allowed: settings.nextWords,
      timeoutMs: settings.nextTimeoutMs,
      triesLeft: this.choice!.triesLeft,
      elapsedMs: Date.now() - this.#firstStartMs,
      isRequestSent: this.#isRequestSent,
      isNonIdempotent: isNonIdempotent(r.method),
      isBodyUnbuffered: this.isBodyUnbuffered,
    });
  }

  /** This try failed: another server, or the failure's status to the client. */
  next(kind: FailureKind): void {
    const choice = this.choice!;
    const state = this.state!;
    const hadPeer = this.#peer !== undefined;
    if (this.connection) state.bytesSent = this.connection.bytesSent;
    if (hadPeer) {
      if (choice.release(countsAgainstPeer(kind) ? 'failed' : 'next')) {
        this.log('warn', 'upstream server temporarily disabled');
      }
      this.#peer = undefined;
    }
    if (kind === 'timeout') this.log('error', 'upstream timed out (110: Connection timed out)');
    if (this.#isCached && kind === 'error') choice.triesLeft++;
    const status = statusOfFailure(kind);
    state.status = status;
    if (!this.#mayTryNext(kind)) {
      if (this.cache?.answersStale(kind, false)) return;
      this.finalize(status);
      return;
    }
    this.#dropTry();
    this.#connect();
  }

  #dropTry(): void {
    this.#sender = undefined;
    this.#response?.close();
    this.#response = undefined;
    this.fields = undefined;
    this.mayKeepAlive = false;
    this.connection?.destroy();
    this.connection = undefined;
  }

  /** Gives the server and its connection back; what is left of the response is between us and the client. */
  release(): void {
    this.#release(OK);
  }

  #release(rc: number): void {
    if (rc !== OK) {
      this.#isOver = true;
      this.#response?.close();
      this.cache?.close(ERROR);
    }
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#withdraw?.();
    this.#stream?.stop();
    const { state, connection, choice } = this;
    if (state && state.responseMs < 0) {
      state.responseMs = Date.now() - this.#startMs;
      if (connection) state.bytesSent = connection.bytesSent;
    }
    if (this.#peer) choice!.release('ok');
    this.#peer = undefined;
    this.connection = undefined;
    if (!connection) return;
    const pool = choice!.upstream.pool;
    const isHealthy = this.mayKeepAlive && this.#isBodySent && !connection.isEnded && !connection.isFailed;
    if (pool && isHealthy && pool.accepts(connection)) pool.put(connection);
    else connection.destroy();
  }

  /** Ends the request: code 0 completes the response, a status becomes an error page (or cuts a begun response). */
  finalize(code: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.cache?.close(code);
    this.#release(code === OK ? OK : DONE);
    const { r } = this;
    r.onAbort = undefined;
    r.onDrain = undefined;
    if (code === DECLINED) return;
    if (!this.isHeaderSent || code === CLIENT_CLOSED || code === 408) {
      r.finalize(code);
      return;
    }
    this.#response?.close();
    if (code < 300) r.finalize(code);
    else this.#cut();
  }

  /** Somebody else (the sender of a kept response, a redirect) goes on with the request. */
  leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.cache?.close(OK);
    this.#release(DONE);
    this.r.onAbort = undefined;
    this.r.onDrain = undefined;
  }

  /** X-Accel-Redirect: true when the request goes on inside. */
  redirectInside(head: UpstreamHead): boolean {
    return redirectInside(this, head);
  }

  /** The response cannot be completed: what there is goes out, and the connection ends without the rest. */
  #cut(): void {
    const { r } = this;
    r.isKeepalive = false;
    if (r.isHeaderOnly || r.parent || r.version >= 2000) {
      r.finalize(ERROR);
      return;
    }
    r.flush();
    r.isResponseEnded = true;
    r.finalize(OK);
  }
}
