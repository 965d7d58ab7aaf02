// One request on its way to a group of upstream servers: the cache first, then choosing a server, trying it
// (attempt.ts), trying the next one when it fails, and giving everything back at the end. What a server answers is the
// business of response.ts. It is what `r.upstream` shows. Mirrors ngx_http_upstream_t and the flow of
// ngx_http_upstream.c; no promises.
import { turnMs } from '../clock.ts';
import { CLIENT_CLOSED, DECLINED, DONE, ERROR, OK } from '../http/codes.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Fields } from '../http/head.ts';
import type { RequestBody } from '../http/request-body.ts';
import { Attempt } from './attempt.ts';
import { PeerChoice } from './balance.ts';
import { RequestCache } from './cache/request-cache.ts';
import type { UpstreamConnection } from './connection.ts';
import { countsAgainstPeer, type FailureKind, isNonIdempotent, mayTryNext, statusOfFailure } from './next-upstream.ts';
import { type SenderOwner, StreamedSender } from './request-sender.ts';
import { redirectInside } from './response.ts';
import type { UpstreamHead } from './response-head.ts';
import type { UpstreamSettings, UpstreamTarget } from './settings.ts';
import { newUpstreamState, type UpstreamState, type UpstreamView } from './state.ts';
import { findUpstream } from './target.ts';

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
  choice: PeerChoice | undefined;
  action: Action = 'connecting to upstream';
  fields: Fields | undefined;
  readonly trailers = undefined;
  cache: RequestCache | undefined;
  /** The connection may serve another request after this response. */
  mayKeepAlive = false;
  isHeaderSent = false;
  /** Passes the body on as the client sends it; undefined when it is read whole first. */
  stream: StreamedSender | undefined;
  /** What is sent, except for the body. */
  head = '';
  #attempt: Attempt | undefined;
  #peerName = '';
  #firstStartMs = 0;
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
    return this.stream !== undefined;
  }

  /** Asks for that, before `start`. A body that has come whole is not streamed. */
  streamBody(body: RequestBody): void {
    const stream = new StreamedSender(this.r, body, this);
    const store = stream.prime();
    if (store) body.store = store;
    else this.stream = stream;
  }

  // The body's sender reports here: to the try that is under way, if there is one yet.

  onRequestSent(): void {
    this.#attempt?.onRequestSent();
  }

  onBlocked(isByServer: boolean): void {
    this.#attempt?.onBlocked(isByServer);
  }

  onBodyFailed(code: number): void {
    this.finalize(code);
  }

  /** Connection and state of the try under way. */
  get connection(): UpstreamConnection | undefined {
    return this.#attempt?.connection;
  }

  get state(): UpstreamState {
    return this.#attempt!.state;
  }

  /** Milliseconds since this try began. */
  elapsedMs(): number {
    return this.#attempt!.elapsedMs();
  }

  get hostHeader(): string {
    return this.target.hostHeader;
  }

  get portText(): string {
    return this.target.portText;
  }

  logUrl(): string | undefined {
    return this.#peerName === ''
      ? undefined
      : this.target.schema + this.#peerName + (this.#peerName.startsWith('unix:') ? ':' : '') + this.maker.uri;
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
    this.head = this.maker.head(this);
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
    this.#firstStartMs = turnMs();
    this.#connect();
  }

  #connect(): void {
    const { r } = this;
    const choice = this.choice!;
    this.action = 'connecting to upstream';
    const peer = choice.pick(r);
    const state = newUpstreamState(peer ? peer.name : choice.upstream.name);
    r.upstreamStates!.push(state);
    this.#peerName = state.peer;
    if (!peer) {
      this.#attempt = undefined;
      state.responseMs = 0;
      this.log('error', 'no live upstreams');
      state.status = 502;
      this.#giveUp('no_live');
      return;
    }
    this.#attempt = new Attempt(this, peer, state);
    this.#attempt.start();
  }

  #clientGone(): void {
    if (this.cache?.isCacheable || this.settings.store) {
      // The response is wanted all the same: by the cache, or to be stored.
      this.r.survivesClient = true;
      this.#attempt?.response?.clientGone();
      return;
    }
    this.log(
      'info',
      'epoll_wait() reported that client prematurely closed connection, so upstream connection is closed too',
    );
    this.finalize(CLIENT_CLOSED);
  }

  // ---- the end of a try

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
      elapsedMs: turnMs() - this.#firstStartMs,
      isRequestSent: this.#attempt?.isRequestSent === true,
      isNonIdempotent: isNonIdempotent(r.method),
      isBodyUnbuffered: this.isBodyUnbuffered,
    });
  }

  /** This try failed: another server, or the failure's status to the client. */
  next(kind: FailureKind): void {
    const choice = this.choice!;
    const attempt = this.#attempt!;
    attempt.close();
    if (choice.release(countsAgainstPeer(kind) ? 'failed' : 'next')) {
      this.log('warn', 'upstream server temporarily disabled');
    }
    if (kind === 'timeout') this.log('error', 'upstream timed out (110: Connection timed out)');
    if (attempt.isKept && kind === 'error') choice.triesLeft++;
    attempt.state.status = statusOfFailure(kind);
    if (!this.#mayTryNext(kind)) {
      this.#giveUp(kind);
      return;
    }
    attempt.drop();
    this.fields = undefined;
    this.mayKeepAlive = false;
    this.#connect();
  }

  #giveUp(kind: FailureKind): void {
    if (this.cache?.answersStale(kind, false)) return;
    this.finalize(statusOfFailure(kind));
  }

  /** Gives the server and its connection back; what is left of the response is between us and the client. */
  release(): void {
    this.#release(OK);
  }

  #release(rc: number): void {
    const attempt = this.#attempt;
    if (rc !== OK) {
      this.#isOver = true;
      attempt?.response?.close();
      this.cache?.close(ERROR);
    }
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#withdraw?.();
    this.stream?.stop();
    if (!attempt) return;
    attempt.close();
    this.choice!.release('ok');
    attempt.giveBack(this.mayKeepAlive);
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
    this.#attempt?.response?.close();
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
