// One request and its response: what handlers, filters and variables work on. It belongs to a Downstream (an HTTP/1.x
// connection or an HTTP/2 stream), walks the phases (phases.ts), and ends in finalize (finalize.ts). Mirrors
// ngx_http_request_t; a subrequest has a `parent` and hands its output to it.
import { turnMs } from '../clock.ts';
import { NO_VARS } from '../config/variables.ts';
import type { LogLevel } from '../log.ts';
import type { UpstreamState, UpstreamView } from '../upstream/state.ts';
import type { ClientConnection } from './client.ts';
import { type BodyFilter, openFilters } from './filters.ts';
import { finalizeRequest } from './finalize.ts';
import type { Fields } from './head.ts';
import type { ContentHandler, Location } from './location.ts';
import { logRequest } from './log-context.ts';
import { runPhases } from './phases.ts';
import type { RangeParts } from './range-parts.ts';
import type { RequestBody } from './request-body.ts';
import { ResponseHead } from './response.ts';
import type { OutputOrder } from './subrequest.ts';
import { extensionOf } from './uri.ts';
import type { Server } from './virtual-server.ts';

/** Who the exchange answers to. */
export interface Downstream {
  /** Writes the response head; `r.out` is final. */
  sendHead(r: Exchange): void;
  /** Writes a piece of the body; false when the client is slow and the producer should wait for `onDrain`. */
  write(chunk: Buffer | string): boolean;
  /**
   * Sends up to `count` bytes of the open file `fd`, from `at` on, as a piece of the body. How many the system took; 0 when they are
   * to be read and written. Undefined where what is sent is not what is in the file (HTTP/2's frames).
   */
  sendFile?(fd: number, at: number, count: number): number;
  /** The response is complete. */
  end(): void;
  /** Pushes out what is held back for a larger write. */
  flush(): void;
  /** The exchange is over (logged, all resources given back). */
  finished(r: Exchange): void;
  /** Gives up: closes the connection or resets the stream. */
  abort(): void;
  /** Body bytes may flow into `r.body` from now on. */
  startBody(r: Exchange): void;
  pauseBody(): void;
  resumeBody(): void;
  /** `100 Continue`, when the client waits for it. */
  sendContinue(): void;
  readonly isBackedUp: boolean;
  /** Every byte has left for the system; undefined where that cannot be told. */
  readonly isFlushed?: boolean;
  /** Takes the raw connection over (WebSocket); undefined where that cannot be (HTTP/2). */
  takeOver?(r: Exchange, onData: (chunk: Buffer) => void, onEnd: () => void): RawDownstream;
}

/** The client's connection after an upgrade. */
export interface RawDownstream {
  write(chunk: Buffer): boolean;
  end(): void;
  destroy(): void;
  pause(): void;
  resume(): void;
  onDrain: (() => void) | undefined;
}

export class Exchange {
  /** The connection it came on; realip puts one with another address in its place. */
  client: ClientConnection;
  readonly downstream: Downstream;
  readonly parent: Exchange | undefined;
  readonly main: Exchange;
  server!: Server;
  location!: Location;

  // What was asked.
  requestLine = '';
  method = '';
  /** 9, 1000, 1001 or 2000. */
  version = 0;
  /** The protocol as sent; '' where the request line broke off within it. */
  protocol: string | undefined;
  /** Path and query as sent. */
  unparsedUri = '';
  uri = '';
  args = '';
  exten = '';
  /** The path decodes to CR or LF (or did, before a rewrite): variables made of it must not break a header's line. */
  hasLineBreak = false;
  /** False once a rewrite or redirect made the URI another one. */
  isUnparsedValid = true;
  /** False once a rewrite changed the URI, so that it no longer starts with the location's name (`alias`, proxy_pass). */
  isLocationValid = true;
  /** `try_files` chose a file under an `alias` in a regex location: the URI is appended to the alias. */
  addsUriToAlias = false;
  headers!: Fields;
  /** Lower-cased host name of the request without port; '' when there is none. */
  host = '';
  /** Declared Content-Length, -1: none. */
  contentLength = -1;
  isChunked = false;
  body: RequestBody | undefined;

  // Where it is.
  phase = 0;
  isUriRewritten = false;
  uriChangesLeft = 11;
  isInternal = false;
  contentHandler: ContentHandler | undefined;
  captures: readonly (string | undefined)[] | undefined;
  vars = NO_VARS;
  accessCode = 0;
  isErrorPage = false;
  errStatus = 0;
  isHeaderOnly = false;
  /** Set by a handler that already tested or answered `Expect: 100-continue`. */
  isExpectTested = false;
  isKeepalive = false;
  /** Came while the request before it was served. */
  isPipelined = false;
  isLingering = false;
  /** The client left within its body: the request ends without an answer. */
  isClientBroken = false;
  /** `$limit_req_status`, `$limit_conn_status`: a request is counted once, whatever redirects follow. */
  limitReqStatus: string | undefined;
  limitConnStatus: string | undefined;
  /** Modules' own state of this request, by module. */
  contexts: Map<unknown, unknown> | undefined;
  /** Called when the exchange is over or given up, in reverse order. */
  #cleanups: (() => void)[] | undefined;

  // What is answered.
  out = new ResponseHead();
  isHeadSent = false;
  /** Something was written as the body, even if filters still hold it. */
  hasWritten = false;
  isResponseEnded = false;
  #isBodyEnded = false;
  isChunkedOut = false;
  /** Bytes sent to the client: all, and of the head. */
  bytesSent = 0;
  headBytesSent = 0;
  requestLength = 0;
  /** Set by a handler that can send any part of the body (a file): the range filter then only says which parts. */
  isSeekable = false;
  /** What the range filter asks such a handler to send. */
  parts: RangeParts | undefined;
  /** One range at most (an upstream's response that is not kept whole). */
  isSingleRange = false;
  /** If-Modified-Since and its like are not to be tested (a response made for the cache). */
  ignoresConditions = false;
  limitRate = -1;
  limitRateAfter = -1;
  hasGzipVary = false;
  /** Whether this client may be sent gzip; undefined until it was asked (gzip-rules.ts). */
  isGzipOk: boolean | undefined;
  #filters: BodyFilter | undefined;
  /** Body filters that hold bytes back (slowed down by limit_rate, waiting for the compressor): producers wait too. */
  holds = 0;
  /** Puts the output of subrequests in its place; there when this request may start some, or is one. */
  order: OutputOrder | undefined;
  /** Subrequests of this request that have not ended. */
  subrequests: Set<Exchange> | undefined;
  /** How deep subrequests may still nest. */
  subrequestsLeft = 51;
  /** A subrequest whose output goes nowhere and that only keeps the connection from its next request (mirror). */
  isBackground = false;
  /** The request of `post_action`, once it was started. */
  postAction: Exchange | undefined;
  /** A subrequest's body, kept for its parent instead of being sent. */
  captured: Buffer[] | undefined;
  /** Called when the client took what was written and more may come. */
  onDrain: (() => void) | undefined;
  /** Called when the client has gone away before the answer was complete. */
  onAbort: (() => void) | undefined;
  /** The handler goes on when the client has gone away (proxy_ignore_client_abort, a response for the cache). */
  survivesClient = false;
  /** A subrequest's end: what its parent does with its status. */
  onSubrequestDone: ((r: Exchange, code: number) => number) | undefined;
  /** Called once, when a subrequest is over. */
  onSubrequestEnd: ((r: Exchange) => void) | undefined;
  /** A subrequest that is done, but whose filters are not. */
  isAwaitingOutput = false;
  /** What the main request is at, for the log: `… while sending response to client`. */
  logAction = '';
  /** The response is complete, but subrequests in the background are not. */
  isWaitingForBackground = false;
  /** Attempts at upstream servers, for the `$upstream_*` variables. */
  upstreamStates: UpstreamState[] | undefined;
  /** The upstream side of this request, at work or done. */
  upstream: UpstreamView | undefined;
  isFinished = false;
  readonly startMs: number;

  constructor(client: ClientConnection, downstream: Downstream, parent?: Exchange) {
    this.client = client;
    this.downstream = downstream;
    this.parent = parent;
    this.main = parent ? parent.main : this;
    this.startMs = parent ? parent.startMs : turnMs();
  }

  get isSubrequest(): boolean {
    return this.parent !== undefined;
  }

  setUri(uri: string): void {
    this.uri = uri;
    if (uri.includes('\n') || uri.includes('\r')) this.hasLineBreak = true;
    this.exten = extensionOf(uri);
  }

  /** Starts or goes on with the phases. */
  run(): void {
    runPhases(this);
  }

  /** Ends the request with a return code or status (ngx_http_finalize_request). */
  finalize(code: number): void {
    finalizeRequest(this, code);
  }

  context<T>(key: unknown): T | undefined {
    return this.contexts?.get(key) as T | undefined;
  }

  setContext(key: unknown, value: unknown): void {
    this.contexts ??= new Map();
    this.contexts.set(key, value);
  }

  onCleanup(act: () => void): void {
    this.#cleanups ??= [];
    this.#cleanups.push(act);
  }

  /** Runs the clean-ups, once. */
  cleanUp(): void {
    const all = this.#cleanups;
    this.#cleanups = undefined;
    if (all) for (let i = all.length - 1; i >= 0; i--) all[i]!();
  }

  /** Answers `Expect: 100-continue` with an interim response, once, when somebody is about to read the body. */
  testExpect(): void {
    if (this.isExpectTested || this.parent || this.version < 1001) return;
    this.isExpectTested = true;
    if (this.headers.get('expect')?.toLowerCase() === '100-continue') this.downstream.sendContinue();
  }

  /** Whether written bytes go straight to the client's connection, and have all been taken by the system. */
  get isFlushedThrough(): boolean {
    return this.#filters === undefined && this.parent === undefined && this.downstream.isFlushed === true;
  }

  /** Drops the request's body; returns 0, or the status to answer with when it is broken. */
  discardBody(): number {
    return this.body?.discard() ?? 0;
  }

  /** Sends the head through the header filters. A filter may replace the whole response; then false is returned. */
  sendHeader(): boolean {
    if (this.isHeadSent) return true;
    if (this.errStatus) {
      this.out.status = this.errStatus;
      this.out.statusText = '';
    }
    const filters = openFilters(this);
    if (filters === false) return false;
    this.#filters = filters;
    this.isHeadSent = true;
    if (!this.parent) this.downstream.sendHead(this);
    return true;
  }

  /** Sends a piece of the body. False: wait for `onDrain`. */
  write(chunk: Buffer | string): boolean {
    if (this.isHeaderOnly || chunk.length === 0) return true;
    this.hasWritten = true;
    if (this.#filters) {
      this.#filters.write(typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk);
      return this.isWritable;
    }
    return this.downstream.write(chunk);
  }

  /** Sends a piece of the open file `fd` unread, see `Downstream`; 0 also when a filter wants to see it. */
  sendFile(fd: number, at: number, count: number): number {
    if (this.#filters || this.parent || this.isHeaderOnly) return 0;
    const sent = this.downstream.sendFile?.(fd, at, count) ?? 0;
    if (sent > 0) this.hasWritten = true;
    return sent;
  }

  /** Whether a producer may go on writing at once. */
  get isWritable(): boolean {
    const { main } = this;
    return !main.downstream.isBackedUp && main.holds === 0 && !(this.parent && this.order?.isBehind);
  }

  /** The client took what was written, or a filter let go of what it held: wakes the producers. */
  drained(): void {
    if (this.isWritable) this.onDrain?.();
    if (this.subrequests) for (const sub of this.subrequests) sub.drained();
  }

  /** The body is complete. */
  end(): void {
    if (this.#isBodyEnded) return;
    this.#isBodyEnded = true;
    if (this.#filters && !this.isHeaderOnly) this.#filters.end();
    else this.endOutput();
  }

  /** Called by the last filter. */
  endOutput(): void {
    if (this.isResponseEnded) return;
    this.isResponseEnded = true;
    if (!this.parent) this.downstream.end();
  }

  flush(): void {
    if (this.#filters?.flush) this.#filters.flush();
    this.main.downstream.flush();
  }

  /** Throws the response made so far away (before its head was sent). */
  resetResponse(): void {
    this.out = new ResponseHead();
    this.#filters = undefined;
  }

  /** Writes to this location's error_log, with the request's particulars. */
  log(level: LogLevel, message: string): void {
    logRequest(this, level, message);
  }
}
