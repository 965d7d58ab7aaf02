// Subrequests: requests that a request makes to its own server, for auth_request, mirror, addition and SSI. Their output
// takes its place in the parent's output, in the order in which they were started, however late it comes. Mirrors
// ngx_http_subrequest and ngx_http_postpone_filter.
import { writeAccessLog } from '../modules/access-log.ts';
import { coreModule } from '../modules/core-rows.ts';
import { ERROR } from './codes.ts';
import { Exchange } from './exchange.ts';
import type { BodyFilter } from './filters.ts';
import { SERVER_REWRITE } from './phases.ts';

export interface SubrequestOptions {
  /** Its status matters, not its body (auth_request, mirror). */
  readonly isHeaderOnly?: boolean;
  /** Nobody waits for it; the connection takes its next request when it has ended. */
  readonly isBackground?: boolean;
  /** Its body is kept in `captured`. */
  readonly isInMemory?: boolean;
  /** It goes on where its parent stands, in the same location, as the same request (slice). */
  readonly isClone?: boolean;
  /** Default: GET. */
  readonly method?: string;
  /** Called each time it is finalized, before an error page is made: returns the code to go on with. */
  readonly onDone?: (sub: Exchange, code: number) => number;
  /** Called once, when it is over. */
  readonly onEnd?: (sub: Exchange) => void;
}

/** Starts a subrequest of `parent`; it runs when the caller has returned. Undefined, and a log line: it cannot be. */
export function startSubrequest(
  parent: Exchange,
  uri: string,
  args: string,
  options: SubrequestOptions,
): Exchange | undefined {
  if (parent.subrequestsLeft <= 1) {
    parent.log('error', `subrequests cycle while processing "${uri}"`);
    return undefined;
  }
  if (parent.captured) {
    parent.log('error', `nested in-memory subrequest "${uri}"`);
    return undefined;
  }
  const sub = new Exchange(parent.client, parent.downstream, parent);
  sub.server = parent.server;
  sub.location = parent.server.root;
  sub.requestLine = parent.requestLine;
  sub.method = options.method ?? 'GET';
  sub.version = parent.version;
  sub.unparsedUri = parent.unparsedUri;
  sub.isUnparsedValid = false;
  sub.setUri(uri);
  sub.args = args;
  sub.headers = parent.headers;
  sub.host = parent.host;
  sub.contentLength = parent.contentLength;
  sub.isChunked = parent.isChunked;
  sub.body = parent.body;
  sub.isInternal = true;
  sub.isExpectTested = true;
  sub.isHeaderOnly = options.isHeaderOnly ?? false;
  sub.isBackground = options.isBackground ?? false;
  sub.subrequestsLeft = parent.subrequestsLeft - 1;
  // Variables are shared: what a subrequest sets, its parent sees.
  if (parent.vars.length === 0) parent.vars = [];
  sub.vars = parent.vars;
  if (options.isInMemory) sub.captured = [];
  sub.onSubrequestDone = options.onDone;
  sub.onSubrequestEnd = options.onEnd;
  sub.order = new OutputOrder(sub);
  if (!sub.isBackground && !sub.captured && !sub.isHeaderOnly) {
    parent.order ??= new OutputOrder(parent);
    parent.order.insert(sub.order);
  }
  parent.subrequests ??= new Set();
  parent.subrequests.add(sub);
  if (options.isClone) {
    sub.location = parent.location;
    sub.method = parent.method;
    sub.contentHandler = parent.contentHandler;
    sub.phase = parent.phase;
    sub.captures = parent.captures;
    sub.isUnparsedValid = parent.isUnparsedValid;
    sub.isLocationValid = parent.isLocationValid;
  } else sub.phase = SERVER_REWRITE;
  process.nextTick(start, sub);
  return sub;
}

function start(sub: Exchange): void {
  if (sub.isFinished) return;
  sub.main.logAction = '';
  sub.run();
}

/** The end of a subrequest: its parent goes on, when the filters are done with the output as well. */
export function endSubrequest(sub: Exchange): void {
  if (sub.isFinished) return;
  if (sub.isHeadSent && !sub.isResponseEnded) {
    sub.isAwaitingOutput = true;
    return;
  }
  sub.isFinished = true;
  sub.onDrain = undefined;
  sub.onAbort = undefined;
  sub.cleanUp();
  if (coreModule.location(sub.location).log_subrequest) writeAccessLog(sub);
  sub.parent!.subrequests!.delete(sub);
  sub.order!.finish();
  sub.onSubrequestEnd?.(sub);
  if (sub.isBackground) {
    const { main } = sub;
    if (main.isWaitingForBackground && !hasBackground(main)) main.downstream.finished(main);
  }
}

/** Whether subrequests in the background keep `r` from its end; if so, their end will call it. */
export function hasBackground(r: Exchange): boolean {
  if (r.subrequests) {
    for (const sub of r.subrequests) {
      if (sub.isBackground) {
        r.isWaitingForBackground = true;
        return true;
      }
    }
  }
  return false;
}

/** The main request is over: what its subrequests still do is of no use. */
export function abandonSubrequests(r: Exchange): void {
  if (!r.subrequests) return;
  for (const sub of r.subrequests) {
    // The answer is out, so the client's going away is no reason to give up the copies.
    if (sub.isBackground && r.isWaitingForBackground) continue;
    sub.isFinished = true;
    r.subrequests.delete(sub);
    abandonSubrequests(sub);
    sub.onAbort?.();
    sub.cleanUp();
  }
}

/** Bytes that a subrequest may have waiting for its turn before its producer is told to stop. */
const BEHIND_BYTES = 65_536;

/**
 * One request's output in order: its own bytes and those of its subrequests. It stands in the chain of body filters
 * where nginx has its postpone filter; what passes goes on through the main request's filters.
 */
export class OutputOrder implements BodyFilter {
  declare next: BodyFilter;
  readonly #r: Exchange;
  readonly #queue: (Buffer | OutputOrder)[] = [];
  #queuedBytes = 0;
  #isItsTurn: boolean;
  #isEnded = false;
  #isDone = false;
  #isHeld = false;
  #isEndHeld = false;
  #parent: OutputOrder | undefined;
  /** Called when the request's own output is complete. */
  onLast: (() => void) | undefined;

  constructor(r: Exchange) {
    this.#r = r;
    this.#isItsTurn = r.parent === undefined;
  }

  /** More waits here than should. */
  get isBehind(): boolean {
    return this.#queuedBytes > BEHIND_BYTES;
  }

  /** Keeps a place for the output of a subrequest, behind what was written so far. */
  insert(sub: OutputOrder): void {
    sub.#parent = this;
    this.#queue.push(sub);
    if (this.#isItsTurn && this.#queue.length === 1) sub.#isItsTurn = true;
  }

  write(chunk: Buffer): void {
    const { captured } = this.#r;
    if (captured) this.#capture(captured, chunk);
    else if (this.#isItsTurn && this.#queue.length === 0) this.#outlet.write(chunk);
    else if (this.#parent || this.#r.parent === undefined) {
      this.#queue.push(chunk);
      this.#queuedBytes += chunk.length;
    }
  }

  /** Keeps the output open behind its own bytes, which may end now, until `release`. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    this.#isHeld = false;
    if (this.#isEndHeld) this.end();
  }

  end(): void {
    if (this.#isEnded) return;
    if (this.#isHeld) {
      this.#isEndHeld = true;
      return;
    }
    // The last chance to add a subrequest behind everything else.
    const { onLast } = this;
    this.onLast = undefined;
    onLast?.();
    this.#isEnded = true;
    const r = this.#r;
    if (!r.parent) this.#settle();
    else {
      r.endOutput();
      if (r.isAwaitingOutput) endSubrequest(r);
    }
  }

  /** The subrequest is over: what comes behind it may go out. */
  finish(): void {
    this.#isEnded = true;
    this.#settle();
  }

  flush(): void {
    if (this.#isItsTurn && this.#queue.length === 0) this.#outlet.flush?.();
  }

  get #outlet(): BodyFilter {
    return this.#r.parent ? this.#r.main.order!.next : this.next;
  }

  #capture(captured: Buffer[], chunk: Buffer): void {
    captured.push(chunk);
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes <= coreModule.location(this.#r.location).subrequest_output_buffer_size) return;
    this.#r.log('error', 'too big subrequest response');
    this.#queuedBytes = 0;
    this.#r.finalize(ERROR);
  }

  /** Lets out what has its turn. True when nothing more will come. */
  #drain(): boolean {
    const queue = this.#queue;
    while (queue.length) {
      const first = queue[0]!;
      if (first instanceof OutputOrder) {
        if (!first.#isDone) {
          if (first.#isItsTurn) return false;
          first.#isItsTurn = true;
          if (!first.#drain()) {
            if (!first.isBehind) first.#r.drained();
            return false;
          }
        }
        queue.shift();
      } else {
        queue.shift();
        this.#queuedBytes -= first.length;
        this.#outlet.write(first);
      }
    }
    if (!this.#isEnded || (this.#r.parent && !this.#r.isFinished)) return false;
    if (!this.#isDone) {
      this.#isDone = true;
      if (this.#r.parent === undefined) this.next.end();
    }
    return true;
  }

  #settle(): void {
    if (this.#isItsTurn && this.#drain() && this.#parent) this.#parent.#settle();
  }
}
