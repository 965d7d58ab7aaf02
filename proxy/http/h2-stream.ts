// One HTTP/2 stream: the Downstream of one Exchange. It holds the body that waits for the peer's window, feeds the
// request's body from DATA frames, and ends in END_STREAM or a reset. Mirrors ngx_http_v2_stream_t.
import { coreModule } from '../modules/core-rows.ts';
import { http2Module } from '../modules/http2.ts';
import { Deadline } from '../timer.ts';
import { counters } from './client.ts';
import type { Downstream } from './exchange.ts';
import { Exchange } from './exchange.ts';
import { closeExchange } from './finalize.ts';
import type { H2Connection } from './h2-connection.ts';
import { CODE, FLAG, FRAME, frame, HEAD_BYTES } from './h2-frames.ts';
import type { Place } from './h2-priority.ts';
import { headerBlock, settleH2, trailerBlock } from './h2-response.ts';
import { NO_FIELDS } from './head.ts';
import { useServer } from './request-checks.ts';

/** A producer is told to wait when more than this of its body waits for the window. */
const BACKED_UP_BYTES = 65_536;
/** What a client may send ahead of a reader that takes its time. */
const BODY_WINDOW_BYTES = 1_048_576;

export class H2Stream implements Downstream {
  readonly id: number;
  /** Its place among the streams that want to send. */
  readonly place: Place;
  readonly r: Exchange;
  readonly #connection: H2Connection;
  sendWindow: number;
  receiveWindow: number;
  /** The client has ended its side, or reset the stream. */
  isInClosed = false;
  #isOutClosed = false;
  #isReset = false;
  #isOver = false;
  /** The handler is done; the stream is closed when everything is out. */
  #isDone = false;
  #isEnded = false;
  #hasTrailers = false;
  #queue: Buffer[] = [];
  #queued = 0;
  #isBackedUp = false;
  /** DATA that came before anybody wanted it, or while the reader pauses. */
  #early: Buffer[] = [];
  #isReading = false;
  #isPaused = false;
  #deadline: Deadline | undefined;
  #sendDeadline: Deadline | undefined;

  constructor(connection: H2Connection, id: number, place: Place, sendWindow: number, receiveWindow: number) {
    this.#connection = connection;
    this.id = id;
    this.place = place;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
    const { client } = connection;
    this.r = new Exchange(client, this);
    client.requests++;
    counters.requests++;
    counters.writing++;
    this.r.version = 2000;
    this.r.headers = NO_FIELDS;
    useServer(this.r, client.sniServer ?? client.listen.defaultServer);
  }

  get isBackedUp(): boolean {
    return this.#isBackedUp;
  }

  // ---- the response

  sendHead(r: Exchange): void {
    settleH2(r);
    // The client is gone, and the response is read for the cache only.
    if (this.#isOver) return;
    this.#isOutClosed = r.isHeaderOnly && !r.out.trailers;
    const bytes = this.#connection.output.sendHeaders(this.id, headerBlock(r), this.#isOutClosed ? FLAG.END_STREAM : 0);
    r.headBytesSent = bytes;
    r.bytesSent += bytes;
  }

  write(chunk: Buffer | string): boolean {
    if (this.#isOver || this.#isOutClosed) return true;
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk;
    this.#queue.push(bytes);
    this.#queued += bytes.length;
    if (this.#queued > BACKED_UP_BYTES) this.#isBackedUp = true;
    this.#expectProgress();
    this.#connection.output.schedule(this);
    return !this.#isBackedUp;
  }

  end(): void {
    this.#isEnded = true;
    this.#hasTrailers = this.r.out.trailers !== undefined;
    this.#connection.output.schedule(this);
  }

  flush(): void {
    this.#connection.output.flush();
  }

  /** Whether there is something that may be sent now. */
  get canSend(): boolean {
    if (this.#isOver || this.#isOutClosed) return false;
    return this.#queued > 0 ? this.sendWindow > 0 : this.#isEnded;
  }

  /** Body bytes that wait. */
  get queued(): number {
    return this.#queued;
  }

  /** Makes one frame of at most `limit` body bytes; returns how much of the connection's window it takes. */
  produce(limit: number): number {
    const { r } = this;
    if (this.#queued === 0) {
      this.#isOutClosed = true;
      if (this.#hasTrailers) {
        r.bytesSent += this.#connection.output.sendHeaders(this.id, trailerBlock(r.out.trailers!), FLAG.END_STREAM);
      } else {
        this.#connection.output.send(frame(FRAME.DATA, FLAG.END_STREAM, this.id, 0));
        r.bytesSent += HEAD_BYTES;
      }
      this.#wroteAll();
      return 0;
    }
    const { http2_chunk_size: chunkBytes } = http2Module.location(r.location);
    const size = Math.min(limit, this.#queued, this.sendWindow, chunkBytes || limit);
    const isLast = size === this.#queued && this.#isEnded && !this.#hasTrailers;
    this.#connection.output.send(frame(FRAME.DATA, isLast ? FLAG.END_STREAM : 0, this.id, size, false));
    for (let left = size; left > 0; ) {
      const first = this.#queue[0]!;
      if (first.length <= left) {
        this.#connection.output.send(first);
        this.#queue.shift();
        left -= first.length;
      } else {
        this.#connection.output.send(first.subarray(0, left));
        this.#queue[0] = first.subarray(left);
        left = 0;
      }
    }
    this.#queued -= size;
    this.sendWindow -= size;
    r.bytesSent += HEAD_BYTES + size;
    if (this.#queued === 0) this.#sendDeadline?.clear();
    else this.#expectProgress(true);
    if (isLast) {
      this.#isOutClosed = true;
      this.#wroteAll();
    }
    return size;
  }

  /** send_timeout: the client must take something now and then. */
  #expectProgress(hasMoved = false): void {
    if (this.#sendDeadline && !hasMoved && this.#sendDeadline.isSet) return;
    this.#sendDeadline ??= new Deadline(() => {
      this.r.log('info', 'client timed out (110: Connection timed out) while sending response to client');
      this.terminate(CODE.PROTOCOL_ERROR);
    });
    this.#sendDeadline.set(coreModule.location(this.r.location).send_timeout);
  }

  #wroteAll(): void {
    if (this.#isDone) this.#connection.output.afterFlush(() => this.#complete());
  }

  /** What was written has left for the socket: the producer may go on. */
  drained(): void {
    if (!this.#isBackedUp || this.#queued > BACKED_UP_BYTES / 2) return;
    this.#isBackedUp = false;
    this.r.drained();
  }

  finished(r: Exchange): void {
    if (r !== this.r || this.#isOver) {
      closeExchange(r);
      return;
    }
    this.#isDone = true;
    if (this.#isOutClosed) this.#connection.output.afterFlush(() => this.#complete());
  }

  #complete(): void {
    if (this.#isOver) return;
    // A client that is still sending is told to stop in a packet of its own: some drop a response that comes with it.
    if (this.isInClosed) this.#close(CODE.NO_ERROR);
    else setImmediate(() => this.#isOver || this.#close(CODE.NO_ERROR));
  }

  abort(): void {
    if (this.#isOver) return;
    this.#close(CODE.INTERNAL_ERROR);
  }

  /** Ends the stream; a side that is still open is reset with `code`. */
  #close(code: number): void {
    if (!this.#isReset && !this.#connection.output.isBroken) {
      if (!this.#isOutClosed)
        this.#connection.output.reset(this.id, code === CODE.NO_ERROR ? CODE.INTERNAL_ERROR : code);
      else if (!this.isInClosed) this.#connection.output.reset(this.id, CODE.NO_ERROR);
    }
    this.#over();
  }

  #over(): void {
    this.#isOver = true;
    this.#deadline?.close();
    this.#sendDeadline?.close();
    this.#queue.length = 0;
    this.#queued = 0;
    this.#early.length = 0;
    const { r } = this;
    if (!r.isFinished && !r.survivesClient) {
      closeExchange(r);
    }
    counters.writing--;
    this.#connection.streamClosed(this);
  }

  // ---- resets

  /** Resets the stream for what the client did wrong; the request ends unanswered. */
  terminate(code: number): void {
    if (this.#isOver || this.#isReset) return;
    this.#isReset = true;
    this.#connection.output.reset(this.id, code);
    this.gone();
  }

  /** The client has reset the stream, or the connection is lost. */
  gone(): void {
    if (this.#isOver) return;
    this.isInClosed = true;
    this.#isOutClosed = true;
    this.#isReset = true;
    const { r } = this;
    this.#isBackedUp = false;
    const abort = r.onAbort;
    r.onAbort = undefined;
    abort?.();
    if (r.body && !r.body.isComplete) {
      r.log('info', 'client prematurely closed stream');
      r.body.fail(499);
    }
    if (this.#isOver) return;
    if (!r.isFinished && r.out.status === 0) r.out.status = r.errStatus || 499;
    this.#over();
  }

  // ---- the request's body

  /** A piece of a DATA frame came. */
  onData(chunk: Buffer): void {
    const { body } = this.r;
    if (!body || body.isDiscarded || body.isComplete) return;
    if (!this.#isReading || this.#isPaused) {
      this.#early.push(Buffer.from(chunk));
      return;
    }
    this.#feed(chunk);
  }

  /** The client has ended its side. */
  onEnd(): void {
    this.isInClosed = true;
    if (this.#isReading && !this.#isPaused) this.#endBody();
  }

  #feed(chunk: Buffer): void {
    const { r } = this;
    const body = r.body!;
    if (r.contentLength >= 0 && body.received + chunk.length > r.contentLength) {
      r.log('info', 'client intended to send body data larger than declared');
      body.fail(400);
      return;
    }
    r.requestLength += chunk.length;
    body.feed(chunk, 0);
    if (this.isInClosed || body.isComplete) this.#deadline?.clear();
    else this.#deadline?.set(coreModule.location(r.location).client_body_timeout);
    this.#refill();
  }

  #endBody(): void {
    const { r } = this;
    const { body } = r;
    this.#deadline?.clear();
    if (!body || body.isComplete || body.isDiscarded) return;
    if (r.contentLength >= 0 && body.received !== r.contentLength) {
      r.log(
        'info',
        `client prematurely closed stream: only ${body.received} out of ${r.contentLength} bytes of request body received`,
      );
      body.fail(400);
    } else body.complete();
  }

  /** Lets the client send more, as far as the reader keeps up. */
  #refill(): void {
    if (this.isInClosed || this.#isPaused || this.r.body?.isDiscarded || this.#isOver) return;
    if (this.receiveWindow > BODY_WINDOW_BYTES / 2) return;
    const more = BODY_WINDOW_BYTES - this.receiveWindow;
    this.receiveWindow += more;
    this.#connection.output.growWindow(this.id, more);
  }

  startBody(r: Exchange): void {
    this.#isReading = true;
    r.isExpectTested = true;
    // The rest of a discarded body is not waited for: the stream is reset when the response is out.
    if (r.body!.isDiscarded) return;
    this.#deadline ??= new Deadline(() => this.#expired());
    this.#deadline.set(coreModule.location(r.location).client_body_timeout);
    this.resumeBody();
  }

  pauseBody(): void {
    this.#isPaused = true;
    this.#deadline?.clear();
  }

  resumeBody(): void {
    const wasPaused = this.#isPaused;
    this.#isPaused = false;
    if (!this.#isReading) return;
    // The client is waited for again.
    if (wasPaused) this.#deadline?.set(coreModule.location(this.r.location).client_body_timeout);
    while (this.#early.length && !this.#isPaused) this.#feed(this.#early.shift()!);
    if (this.#isPaused) return;
    if (this.isInClosed) this.#endBody();
    else this.#refill();
  }

  #expired(): void {
    const { r } = this;
    if (!r.body || r.body.isComplete) return;
    r.log('info', 'client timed out (110: Connection timed out)');
    this.#connection.output.reset(this.id, CODE.PROTOCOL_ERROR);
    this.#isReset = true;
    r.body.fail(408);
  }

  sendContinue(): void {}
}
