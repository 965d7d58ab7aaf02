// What an upstream server answers: its head is read, judged (another server? an error page of ours? a redirect inside?)
// and passed on, then its body is piped to the client, or the connection becomes a tunnel. Mirrors the second half of
// ngx_http_upstream.c, from process_header to process_request.
import { parseHttpDate } from '../clock.ts';
import { DECLINED, ERROR, OK } from '../http/codes.ts';
import { internalRedirect, namedLocation } from '../http/finalize.ts';
import { parseUnsafeUri } from '../http/unsafe-uri.ts';
import { coreModule } from '../modules/core-rows.ts';
import { failureOfStatus } from './next-upstream.ts';
import { Pacer } from './pacer.ts';
import type { UpstreamRequest } from './request.ts';
import { ResponseBody } from './response-body.ts';
import { copyAcceleratedHead, copyHead, parseUpstreamHead, type UpstreamHead } from './response-head.ts';
import { ResponsePipe } from './response-pipe.ts';
import { StoredFile } from './stored-file.ts';
import { Tunnel } from './tunnel.ts';

export class UpstreamResponse {
  readonly #u: UpstreamRequest;
  #text = '';
  #head: UpstreamHead | undefined;
  /** The head as sent, for the cache. */
  #headText = '';
  #body: ResponseBody | undefined;
  #pipe: ResponsePipe | undefined;
  #tunnel: Tunnel | undefined;
  #isBuffering: boolean;
  /** What to end with once the client has taken everything; undefined while the server still sends. */
  #outcome: number | undefined;
  #pacer: Pacer | undefined;
  #stored: StoredFile | undefined;

  constructor(u: UpstreamRequest) {
    this.#u = u;
    this.#isBuffering = u.settings.isBuffering;
  }

  /** The head was accepted; failures from now on cut the response. */
  get isBegun(): boolean {
    return this.#u.isHeaderSent;
  }

  get isTunnel(): boolean {
    return this.#tunnel !== undefined;
  }

  /** Takes bytes from the connection. */
  take(bytes: Buffer, length: number): void {
    if (this.#tunnel) this.#tunnel.fromServer(bytes, 0, length);
    else if (this.#pipe) this.#takeBody(bytes, 0, length);
    else this.#readHead(bytes, length);
  }

  #readHead(bytes: Buffer, length: number): void {
    const u = this.#u;
    u.action = 'reading response header from upstream';
    const before = this.#text;
    const size = u.settings.bufferSizeBytes - (u.cache ? u.cache.headRoomBytes : 0);
    const text = before + bytes.toString('latin1', 0, Math.min(length, size - before.length));
    const head = parseUpstreamHead(text);
    if (head === undefined) {
      if (text.length < size) {
        this.#text = text;
        return;
      }
      // nginx would not have read further.
      u.state.bytesReceived = text.length;
      u.log('error', 'upstream sent too big header');
      u.next('invalid_header');
      return;
    }
    if ('invalid' in head) {
      u.log('error', `upstream sent invalid header: "${head.invalid}"`);
      u.next('invalid_header');
      return;
    }
    this.#text = '';
    this.#head = head;
    this.#headText = u.cache ? text.slice(0, head.bytes) : '';
    u.fields = head.fields;
    u.cache?.readHead(head);
    const state = u.state;
    state.headerMs = u.elapsedMs();
    if (head.statusText === '') {
      if (!u.cache) u.log('error', 'upstream sent no valid HTTP/1.0 header');
      u.r.version = 9;
      u.r.isKeepalive = false;
      state.status = 200;
    } else state.status = head.status;
    if (head.bytes >= before.length) this.#judge(head, bytes, head.bytes - before.length, length);
    else {
      const whole = Buffer.concat([Buffer.from(before, 'latin1'), bytes.subarray(0, length)]);
      this.#judge(head, whole, head.bytes, whole.length);
    }
  }

  #judge(head: UpstreamHead, bytes: Buffer, at: number, end: number): void {
    const u = this.#u;
    const { r, settings } = u;
    const { status } = head;
    const isBodiless = status === 204 || status === 304 || u.maker.method.toUpperCase() === 'HEAD';
    if (isBodiless || head.contentLength === 0) u.mayKeepAlive = !head.isClose;
    const isUpgrade = status === 101 && r.headers.has('upgrade');
    if (status === 101) u.mayKeepAlive = false;
    if (status >= 300) {
      const kind = failureOfStatus(status);
      if (kind !== undefined) {
        if (u.wouldTryNext(kind)) {
          u.next(kind);
          return;
        }
        if (u.cache?.answersStale(kind, true)) return;
      }
      if (u.cache?.revalidates(head)) return;
      if (settings.interceptsErrors && this.#intercept(status, head)) return;
    }
    if (redirectInside(u, head)) return;
    const buffering = settings.ignored.has('x-accel-buffering') ? undefined : head.fields.get('x-accel-buffering');
    if (buffering !== undefined) {
      const word = buffering.toLowerCase();
      if (word === 'no') this.#isBuffering = false;
      else if (word === 'yes') this.#isBuffering = true;
    }
    copyHead(r, head, { settings, isCacheable: u.cache?.isCacheable === true, isCached: false });
    if (!this.#isBuffering) r.limitRate = 0;
    r.main.logAction = u.action;
    const isSent = r.sendHeader();
    r.main.logAction = '';
    u.isHeaderSent = true;
    if (!isSent) {
      u.finalize(DECLINED);
      return;
    }
    if (isUpgrade) {
      this.#upgrade(bytes, at, end);
      return;
    }
    const { cache } = u;
    if (cache) {
      if (this.#isBuffering) cache.begin(head, this.#headText, lastModifiedOf(head));
      else cache.abandon();
    }
    if (settings.store && this.#isBuffering && status === 200 && !isBodiless) {
      this.#stored = new StoredFile(r, settings.store, settings.tempPath);
    }
    if (r.isHeaderOnly && !cache?.isStoring && !this.#stored) {
      u.finalize(OK);
      return;
    }
    const kind = isBodiless ? 'none' : head.isChunked ? 'chunked' : head.contentLength >= 0 ? 'length' : 'close';
    this.#body = new ResponseBody(kind, head.contentLength);
    this.#pipe = new ResponsePipe(r, settings, this.#body, this.#isBuffering, head.bytes);
    if (cache?.isStoring) this.#pipe.copyTo = cache.entry;
    else if (this.#stored) this.#pipe.copyTo = this.#stored;
    if (settings.limitRate > 0 && this.#isBuffering) {
      this.#pacer = new Pacer(settings.limitRate, (piece, from, to) => this.#readBody(piece, from, to));
    }
    if (this.#isBuffering) u.action = 'reading upstream';
    r.onDrain = () => this.#clientDrained();
    if (!this.#isBuffering && at === end) r.flush();
    this.#takeBody(bytes, at, end);
  }

  #takeBody(bytes: Buffer, at: number, end: number): void {
    const pacer = this.#pacer;
    if (!pacer) {
      this.#readBody(bytes, at, end);
      return;
    }
    pacer.take(bytes, at, end);
    const { connection } = this.#u;
    if (!pacer.isHolding || !connection) return;
    connection.pause();
    connection.clearDeadline();
    pacer.whenEmpty(() => this.#clientDrained());
  }

  /** proxy_intercept_errors: our error_page instead of the server's. */
  #intercept(status: number, head: UpstreamHead): boolean {
    const u = this.#u;
    const { r } = u;
    if (!coreModule.location(r.location).error_page?.some((page) => page.status === status)) return false;
    if (status === 401) {
      const challenge = head.fields.get('www-authenticate');
      if (challenge !== undefined) r.out.add('WWW-Authenticate', challenge);
    }
    u.cache?.intercepted(status);
    u.finalize(status);
    return true;
  }

  #upgrade(bytes: Buffer, at: number, end: number): void {
    const u = this.#u;
    u.action = 'proxying upgraded connection';
    const tunnel = Tunnel.open(u);
    if (!tunnel) {
      u.log('error', 'connection upgrade in subrequest');
      u.finalize(ERROR);
      return;
    }
    this.#tunnel = tunnel;
    if (end > at) tunnel.fromServer(bytes, at, end);
  }

  #readBody(bytes: Buffer, at: number, end: number): void {
    const u = this.#u;
    const pipe = this.#pipe!;
    u.state.responseLength += end - at;
    const sent = u.r.main.bytesSent;
    const progress = pipe.feed(bytes, at, end);
    if (progress === 'broken') {
      u.log('error', 'upstream sent invalid chunked response');
      u.finalize(ERROR);
      return;
    }
    if (progress === 'done') {
      this.#complete();
      return;
    }
    u.action = 'reading upstream';
    const connection = u.connection;
    if (!connection) return;
    if (!this.#isBuffering && end > at) u.r.flush();
    else if (u.r.main.bytesSent > sent) u.r.main.downstream.flush();
    if (pipe.isFull) {
      connection.pause();
      connection.clearDeadline();
    } else if (!this.#pacer?.isHolding) connection.setDeadline(u.settings.readTimeoutMs);
  }

  /** The whole body came. */
  #complete(): void {
    const u = this.#u;
    const body = this.#body!;
    if (body.hasExcess) u.log('warn', body.excessText);
    u.mayKeepAlive = !this.#head!.isClose && !body.hasExcess;
    u.cache?.complete();
    this.#store();
    this.#finish(OK);
  }

  #store(): void {
    const head = this.#head!;
    this.#stored?.commit(head.isChunked ? -1 : head.contentLength, lastModifiedOf(head));
  }

  /** Nothing more comes from the server; the request ends with `code` when the client has taken what waits. */
  #finish(code: number): void {
    const u = this.#u;
    if (this.#outcome !== undefined) return;
    if (!this.#pipe?.isPending) {
      u.finalize(code);
      return;
    }
    this.#outcome = code;
    u.action = 'sending to client';
    u.release();
  }

  #clientDrained(): void {
    const u = this.#u;
    if (this.#tunnel) return;
    const isEmpty = this.#pipe!.drain();
    u.r.main.downstream.flush();
    if (this.#outcome !== undefined) {
      if (isEmpty) u.finalize(this.#outcome);
      return;
    }
    const { connection } = u;
    if (!connection) return;
    if (!this.#isBuffering) u.r.flush();
    if (!this.#pipe!.isFull && !this.#pacer?.isHolding) {
      connection.setDeadline(u.settings.readTimeoutMs);
      connection.resume();
    }
  }

  /** The server closed the connection. */
  ended(): void {
    const u = this.#u;
    if (this.#tunnel) {
      this.#tunnel.serverEnded();
      return;
    }
    if (!this.#pipe || this.#outcome !== undefined) return;
    if (this.#pacer?.isHolding) {
      this.#pacer.whenEmpty(() => this.ended());
      return;
    }
    const progress = this.#pipe.finish();
    if (progress === 'broken') {
      u.log('error', 'upstream sent invalid chunked response');
      u.finalize(ERROR);
    } else if (progress === 'done') this.#complete();
    else if (this.#body!.kind === 'close') {
      u.cache?.complete();
      this.#store();
      this.#finish(OK);
    } else {
      u.log('error', 'upstream prematurely closed connection');
      u.cache?.abandon();
      this.#finish(502);
    }
  }

  /** The connection broke; the log has said so. */
  failed(): void {
    const u = this.#u;
    if (this.#tunnel) {
      this.#tunnel.serverEnded();
      return;
    }
    this.#pipe?.finish();
    u.cache?.abandon();
    this.#finish(502);
  }

  timedOut(): void {
    const u = this.#u;
    u.log('error', 'upstream timed out (110: Connection timed out)');
    u.cache?.abandon();
    if (this.#tunnel || !this.#isBuffering) u.finalize(504);
    else this.#finish(502);
  }

  /** The client is gone; the response is still read, for the cache. */
  clientGone(): void {
    const { connection } = this.#u;
    this.#pipe?.discard();
    if (this.#outcome !== undefined) this.#u.finalize(this.#outcome);
    else if (connection && !this.#pacer?.isHolding) connection.resume();
  }

  serverDrained(): void {
    this.#tunnel?.serverDrained();
  }

  close(): void {
    this.#pacer?.close();
    this.#stored?.drop();
    this.#tunnel?.close();
    this.#pipe?.close();
  }
}

/** X-Accel-Redirect: the request goes on under another URI; true when it does. */
export function redirectInside(u: UpstreamRequest, head: UpstreamHead): boolean {
  const { r, settings } = u;
  const target = settings.ignored.has('x-accel-redirect') ? undefined : head.fields.get('x-accel-redirect');
  if (target === undefined) return false;
  r.main.logAction = u.action;
  u.leave();
  copyAcceleratedHead(r, head, settings);
  if (target.startsWith('@')) {
    namedLocation(r, target);
    return true;
  }
  const parsed = parseUnsafeUri(target);
  if (!parsed) {
    r.log('error', `unsafe URI "${target}" was detected`);
    r.finalize(404);
    return true;
  }
  if (r.method !== 'HEAD') r.method = 'GET';
  internalRedirect(r, parsed.uri, parsed.args);
  return true;
}

function lastModifiedOf(head: UpstreamHead): number {
  const text = head.fields.get('last-modified');
  return text === undefined ? -1 : (parseHttpDate(text) ?? -1);
}
