// An HTTP/2 connection (RFC 9113): frames in, streams, windows, frames out. What is wrong with a frame ends the
// connection or a stream with the same error code and log line as in ngx_http_v2.c, which this mirrors.
import type { Socket } from 'node:net';
import { logConnection } from '../listen/connection-log.ts';
import { blocksModule } from '../modules/core-blocks.ts';
import { coreModule } from '../modules/core-rows.ts';
import { http2Module } from '../modules/http2.ts';
import { Deadline } from '../timer.ts';
import { type ClientConnection, counters } from './client.ts';
import { H2FrameReader } from './h2-frame-reader.ts';
import {
  CODE,
  DEFAULT_WINDOW,
  FLAG,
  FRAME,
  frame,
  goAwayFrame,
  H2Error,
  HEAD_BYTES,
  MAX_FRAME_BYTES,
  MAX_WINDOW,
  SETTING,
  settingsFrame,
  windowUpdateFrame,
} from './h2-frames.ts';
import { HpackDecoder } from './h2-hpack.ts';
import { H2Output } from './h2-output.ts';
import { type Priority, PriorityTree, readPriority } from './h2-priority.ts';
import { admit } from './h2-request.ts';
import { readSettings, resetText } from './h2-settings.ts';
import { H2Stream } from './h2-stream.ts';
import { type OpenConnection, openConnections, shutdown } from './open-connections.ts';
import { RequestBody } from './request-body.ts';

/** Bytes of frames without use that are put up with (nginx's flood detection). */
const IDLE_CHATTER_BYTES = 1_048_576;

/** Serves HTTP/2 on an accepted (and, for TLS, secured) socket. */
export function serveH2(socket: Socket, client: ClientConnection): H2Connection {
  return new H2Connection(socket, client);
}

export class H2Connection implements OpenConnection {
  readonly client: ClientConnection;
  readonly #socket: Socket;
  readonly output: H2Output;
  readonly #reader: H2FrameReader;
  readonly #hpack = new HpackDecoder();
  readonly #streams = new Map<number, H2Stream>();
  readonly #priorities = new PriorityTree();
  readonly #deadline: Deadline;
  readonly #conf: ReturnType<typeof http2Module.server>;
  #receiveWindow = MAX_WINDOW;
  #initialWindow = DEFAULT_WINDOW;
  #lastStream = 0;
  /** A stream that was reset before its header block was whole. */
  #abandoned = 0;
  #isAcknowledged = false;
  #isGoingAway = false;
  #isIdleCounted = true;
  #isClosed = false;
  #isFinishing = false;
  #priorityLeft: number;
  /** What came in all, and what of it was of use. */
  #totalBytes = 0;
  #payloadBytes = 0;

  constructor(socket: Socket, client: ClientConnection) {
    this.#socket = socket;
    this.client = client;
    const server = client.sniServer ?? client.listen.defaultServer;
    this.output = new H2Output(socket, coreModule.location(server.root).send_timeout);
    this.#conf = http2Module.server(server);
    this.#priorityLeft = Math.max(this.#conf.http2_max_concurrent_streams, 100);
    this.#deadline = new Deadline(() => this.#expired());
    const large = coreModule.server(server).large_client_header_buffers;
    this.#reader = new H2FrameReader(this, large.number * large.sizeBytes);
    openConnections.add(this);
    counters.active++;
    counters.waiting++;
    this.output.send(
      settingsFrame([
        [SETTING.MAX_CONCURRENT_STREAMS, this.#conf.http2_max_concurrent_streams],
        [SETTING.INITIAL_WINDOW_SIZE, this.#conf.http2_body_preread_size],
        [SETTING.MAX_FRAME_SIZE, MAX_FRAME_BYTES],
      ]),
    );
    this.output.send(windowUpdateFrame(0, MAX_WINDOW - DEFAULT_WINDOW));
    this.#deadline.set(coreModule.server(server).client_header_timeout);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('end', () => this.#onEnd());
    socket.on('error', () => this.#onClose());
    socket.on('close', () => this.#onClose());
  }

  /** A graceful stop asks this first; the answer to it is `goAway`, then `destroy` when nothing is served. */
  get isIdle(): boolean {
    return this.#streams.size === 0;
  }

  /** Tells the client to go elsewhere; requests that are being served are finished. */
  goAway(): void {
    if (this.#isGoingAway || this.#isClosed) return;
    this.#isGoingAway = true;
    this.output.send(goAwayFrame(this.#lastStream, CODE.NO_ERROR));
    if (this.#streams.size === 0) this.#finish();
  }

  destroy(): void {
    if (!this.#isGoingAway && !this.output.isBroken) {
      this.#isGoingAway = true;
      this.output.send(goAwayFrame(this.#lastStream, CODE.NO_ERROR));
      this.output.flush();
    }
    this.output.isBroken = true;
    this.#socket.destroy();
    this.#onClose();
  }

  // ---- input

  #onData(chunk: Buffer): void {
    if (this.#isClosed || this.output.isBroken) return;
    this.#totalBytes += chunk.length;
    try {
      this.#reader.push(chunk);
      if (this.#totalBytes / 8 > this.#payloadBytes + IDLE_CHATTER_BYTES) {
        throw new H2Error(CODE.NO_ERROR, 'http2 flood detected');
      }
    } catch (error) {
      if (!(error instanceof H2Error)) throw error;
      this.#fail(error.code, error.message);
      return;
    }
    this.#settle();
  }

  /** After input, and after a stream has ended: which deadline is it now? */
  #settle(): void {
    if (this.#isClosed) return;
    if (this.#streams.size > 0) {
      if (this.#reader.openBlock > 0) this.#deadline.set(coreModule.server(this.#server()).client_header_timeout);
      return;
    }
    if (!this.#isIdleCounted) {
      this.#isIdleCounted = true;
      counters.waiting++;
    }
    if (this.#isGoingAway) {
      this.#finish();
      return;
    }
    const { root } = this.#server();
    const conf = coreModule.location(root);
    // A new connection keeps the deadline of its first request.
    if (this.#lastStream > 0 || this.#abandoned > 0) this.#deadline.set(conf.keepalive_timeout.timeoutMs);
  }

  #server() {
    return this.client.sniServer ?? this.client.listen.defaultServer;
  }

  #expired(): void {
    const late = this.#reader.openBlock;
    if (late > this.#lastStream && late !== this.#abandoned) {
      // Only this stream was too slow. The rest of its block is still read, for the sake of the compression.
      logConnection(this.client, 'info', 'client timed out (110: Connection timed out)');
      this.#abandoned = late;
      this.output.reset(late, CODE.PROTOCOL_ERROR);
      this.#settle();
      return;
    }
    if (this.#reader.isInside || this.#lastStream === 0) {
      this.#fail(CODE.PROTOCOL_ERROR, 'client timed out (110: Connection timed out)');
    } else this.#fail(CODE.NO_ERROR, '');
  }

  #fail(code: number, message: string): void {
    if (message !== '') logConnection(this.client, 'info', message, 'processing HTTP/2 connection');
    if (!this.#isGoingAway) {
      this.#isGoingAway = true;
      this.output.send(goAwayFrame(this.#lastStream, code));
    }
    this.output.flush();
    this.output.isBroken = true;
    for (const stream of [...this.#streams.values()]) stream.gone();
    this.#finish();
  }

  /** Closes our side and waits a while for the client's, so that it gets to read the last frames. */
  #finish(): void {
    if (this.#isClosed || this.#isFinishing) return;
    this.output.flush();
    this.#isFinishing = true;
    this.output.isBroken = true;
    this.#deadline.close();
    const { lingering_close, lingering_timeout } = coreModule.location(this.#server().root);
    if (lingering_close === 'off') {
      this.#socket.destroySoon();
      return;
    }
    this.#socket.end();
    this.#socket.resume();
    setTimeout(() => this.#socket.destroy(), lingering_timeout).unref();
  }

  #onEnd(): void {
    if (this.#streams.size > 0 || this.#reader.isInside) {
      logConnection(this.client, 'info', 'client prematurely closed connection', 'processing HTTP/2 connection');
    }
    this.output.isBroken = true;
    this.#socket.destroySoon();
    for (const stream of [...this.#streams.values()]) stream.gone();
  }

  #onClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.output.isBroken = true;
    this.#deadline.close();
    for (const stream of [...this.#streams.values()]) stream.gone();
    openConnections.delete(this);
    counters.active--;
    if (this.#isIdleCounted) counters.waiting--;
    if (!this.#socket.destroyed) this.#socket.destroySoon();
  }

  // ---- frames, called by the reader

  /** A part of a header block is there; see HpackDecoder. */
  checkBlock(part: Buffer, from: number): number {
    return this.#hpack.checkPart(part, from);
  }

  /** Whether a new stream may begin; its header block is read in any case. */
  onHeaders(id: number, priority: Priority | undefined, block: Buffer, isEnded: boolean): void {
    const server = coreModule.server(this.#server());
    const { number, sizeBytes } = server.large_client_header_buffers;
    const fields: (readonly [string, string])[] = [];
    if (this.#isGoingAway) return;
    if (id % 2 === 0 || id <= this.#lastStream) {
      throw new H2Error(
        CODE.PROTOCOL_ERROR,
        `client sent HEADERS frame with incorrect identifier ${id}, the last was ${this.#lastStream}`,
      );
    }
    this.#lastStream = id;
    this.#hpack.decode(block, { fieldBytes: sizeBytes, totalBytes: number * sizeBytes }, (name, value) =>
      fields.push([name, value]),
    );
    if (id === this.#abandoned) return;
    const limit = this.#conf.http2_max_concurrent_streams;
    if (this.#streams.size >= limit) {
      logConnection(this.client, 'info', `concurrent streams exceeded ${this.#streams.size}`);
      this.output.reset(id, CODE.REFUSED_STREAM);
      return;
    }
    if (!this.#isAcknowledged && !isEnded && this.#conf.http2_body_preread_size < DEFAULT_WINDOW) {
      logConnection(this.client, 'info', 'client sent stream with data before settings were acknowledged');
      this.output.reset(id, CODE.REFUSED_STREAM);
      return;
    }
    this.#begin(id, priority, fields, isEnded, block.length);
  }

  #begin(
    id: number,
    priority: Priority | undefined,
    fields: readonly (readonly [string, string])[],
    isEnded: boolean,
    bytes: number,
  ): void {
    if (this.#isIdleCounted) {
      this.#isIdleCounted = false;
      counters.waiting--;
    }
    this.#deadline.clear();
    const place = this.#priorities.open(id, priority);
    const stream = new H2Stream(this, id, place, this.#initialWindow, this.#conf.http2_body_preread_size);
    stream.isInClosed = isEnded;
    stream.r.requestLength = bytes;
    this.#streams.set(id, stream);
    this.#priorityLeft += this.#conf.http2_max_concurrent_streams;
    this.#payloadBytes += bytes;
    const { keepalive_timeout, keepalive_requests, keepalive_time } = coreModule.location(this.#server().root);
    const { client } = this;
    if (
      keepalive_timeout.timeoutMs === 0 ||
      client.requests >= keepalive_requests ||
      Date.now() - client.startMs > keepalive_time ||
      shutdown.isExiting
    ) {
      this.#isGoingAway = true;
      this.output.send(goAwayFrame(id, CODE.NO_ERROR));
    }
    const { r } = stream;
    const admission = admit(r, fields, isEnded);
    // The body ends with the stream, whatever was declared; the stream compares the two.
    if (r.body ? !r.isChunked : r.contentLength === 0 && !isEnded) r.body = new RequestBody(r, -1, true);
    if (admission.kind === 'reset') stream.terminate(CODE.PROTOCOL_ERROR);
    else if (admission.kind === 'answer') r.finalize(admission.status);
    else if (!client.listen.isHttp2 && !blocksModule.server(r.server).http2) {
      r.log('info', 'client attempted to request the server name for which the negotiated protocol is disabled');
      r.finalize(421);
    } else r.run();
  }

  /** A DATA frame begins; `size` is all of its payload, padding included. Returns the stream that takes it, if any. */
  onDataFrame(id: number, size: number): H2Stream | undefined {
    if (size > this.#receiveWindow) {
      throw new H2Error(
        CODE.FLOW_CONTROL_ERROR,
        `client violated connection flow control: received DATA frame length ${size}, available window ${this.#receiveWindow}`,
      );
    }
    this.#receiveWindow -= size;
    if (this.#receiveWindow < MAX_WINDOW / 4) {
      this.output.send(windowUpdateFrame(0, MAX_WINDOW - this.#receiveWindow));
      this.#receiveWindow = MAX_WINDOW;
    }
    const stream = this.#streams.get(id);
    if (!stream) return undefined;
    if (size > stream.receiveWindow) {
      stream.r.log(
        'info',
        `client violated flow control for stream ${id}: received DATA frame length ${size}, available window ${stream.receiveWindow}`,
      );
      stream.terminate(CODE.FLOW_CONTROL_ERROR);
      return undefined;
    }
    stream.receiveWindow -= size;
    if (stream.isInClosed) {
      stream.r.log('info', `client sent DATA frame for half-closed stream ${id}`);
      stream.terminate(CODE.STREAM_CLOSED);
      return undefined;
    }
    this.#payloadBytes += size;
    return stream;
  }

  onPriority(id: number, payload: Buffer): void {
    if (--this.#priorityLeft === 0) {
      throw new H2Error(CODE.ENHANCE_YOUR_CALM, 'client sent too many PRIORITY frames');
    }
    this.#priorities.set(id, readPriority('PRIORITY', id, payload, 0));
  }

  onReset(id: number, code: number): void {
    const stream = this.#streams.get(id);
    if (!stream) return;
    stream.r.log('info', resetText(id, code));
    stream.gone();
  }

  onSettings(settings: Iterable<readonly [id: number, value: number]>): void {
    const { window = this.#initialWindow, frameBytes } = readSettings(settings);
    if (frameBytes !== undefined) this.output.frameBytes = frameBytes;
    this.output.send(frame(FRAME.SETTINGS, FLAG.ACK, 0, 0));
    const delta = window - this.#initialWindow;
    this.#initialWindow = window;
    if (delta === 0) return;
    for (const stream of [...this.#streams.values()]) {
      if (delta > 0 && stream.sendWindow > MAX_WINDOW - delta) {
        stream.terminate(CODE.FLOW_CONTROL_ERROR);
        continue;
      }
      stream.sendWindow += delta;
      this.output.schedule(stream);
    }
  }

  onSettingsAck(): void {
    this.#isAcknowledged = true;
  }

  onPing(payload: Buffer): void {
    const answer = frame(FRAME.PING, FLAG.ACK, 0, payload.length);
    payload.copy(answer, HEAD_BYTES);
    this.output.send(answer);
  }

  onWindowUpdate(id: number, increment: number): void {
    if (id === 0) {
      if (increment > MAX_WINDOW - this.output.window) {
        throw new H2Error(
          CODE.FLOW_CONTROL_ERROR,
          `client violated connection flow control: received WINDOW_UPDATE frame with window increment ${increment} not allowed for window ${this.output.window}`,
        );
      }
      this.output.window += increment;
      for (const stream of this.#streams.values()) this.output.schedule(stream);
      return;
    }
    const stream = this.#streams.get(id);
    if (!stream) return;
    if (increment > MAX_WINDOW - stream.sendWindow) {
      stream.r.log(
        'info',
        `client violated flow control for stream ${id}: received WINDOW_UPDATE frame with window increment ${increment} not allowed for window ${stream.sendWindow}`,
      );
      stream.terminate(CODE.FLOW_CONTROL_ERROR);
      return;
    }
    stream.sendWindow += increment;
    this.output.schedule(stream);
  }

  streamClosed(stream: H2Stream): void {
    this.output.forget(stream);
    this.#streams.delete(stream.id);
    this.#priorities.close(stream.place);
    if (this.#streams.size === 0) this.#settle();
  }
}
