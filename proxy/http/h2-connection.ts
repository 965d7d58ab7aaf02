// An HTTP/2 connection (RFC 9113): frames in, streams, windows, frames out. What is wrong with a frame ends the
// connection or a stream with the same error code and log line as in ngx_http_v2.c, which this mirrors.
import type { Socket } from 'node:net';
import { logConnection } from '../listen/connection-log.ts';
import { coreModule } from '../modules/core-rows.ts';
import { http2Module } from '../modules/http2.ts';
import { Deadline } from '../timer.ts';
import { type ClientConnection, counters } from './client.ts';
import { H2FrameReader } from './h2-frame-reader.ts';
import {
  CODE,
  DEFAULT_FRAME_BYTES,
  DEFAULT_WINDOW,
  FLAG,
  FRAME,
  frame,
  goAwayFrame,
  H2Error,
  HEAD_BYTES,
  MAX_FRAME_BYTES,
  MAX_WINDOW,
  rstStreamFrame,
  SETTING,
  settingsFrame,
  windowUpdateFrame,
} from './h2-frames.ts';
import { HpackDecoder } from './h2-hpack.ts';
import { admit } from './h2-request.ts';
import { H2Stream } from './h2-stream.ts';
import { type OpenConnection, openConnections, shutdown } from './open-connections.ts';

/** Output is produced only while less than this waits in the socket. */
const OUTPUT_BYTES = 65_536;
/** Bytes of frames without use that are put up with (nginx's flood detection). */
const IDLE_CHATTER_BYTES = 1_048_576;

/** Serves HTTP/2 on an accepted (and, for TLS, secured) socket. */
export function serveH2(socket: Socket, client: ClientConnection): H2Connection {
  return new H2Connection(socket, client);
}

export class H2Connection implements OpenConnection {
  readonly client: ClientConnection;
  readonly #socket: Socket;
  readonly #reader: H2FrameReader;
  readonly #hpack = new HpackDecoder();
  readonly #streams = new Map<number, H2Stream>();
  readonly #deadline: Deadline;
  readonly #conf: ReturnType<typeof http2Module.server>;
  /** Streams with something to send, in the order of their turns. */
  readonly #ready = new Set<H2Stream>();
  #afterFlush: (() => void)[] = [];
  #out: Buffer[] = [];
  #isFlushQueued = false;
  #sendWindow = DEFAULT_WINDOW;
  #receiveWindow = MAX_WINDOW;
  #initialWindow = DEFAULT_WINDOW;
  #peerFrameBytes = DEFAULT_FRAME_BYTES;
  #lastStream = 0;
  #isAcknowledged = false;
  #isGoingAway = false;
  #isIdleCounted = true;
  #isClosed = false;
  #priorityLeft: number;
  /** What came in all, and what of it was of use. */
  #totalBytes = 0;
  #payloadBytes = 0;
  /** Nothing can be sent any more. */
  isBroken = false;

  constructor(socket: Socket, client: ClientConnection) {
    this.#socket = socket;
    this.client = client;
    const server = client.sniServer ?? client.listen.defaultServer;
    this.#conf = http2Module.server(server);
    this.#priorityLeft = Math.max(this.#conf.http2_max_concurrent_streams, 100);
    this.#deadline = new Deadline(() => this.#expired());
    const large = coreModule.server(server).large_client_header_buffers;
    this.#reader = new H2FrameReader(this, large.number * large.sizeBytes);
    openConnections.add(this);
    counters.active++;
    counters.waiting++;
    this.send(
      settingsFrame([
        [SETTING.MAX_CONCURRENT_STREAMS, this.#conf.http2_max_concurrent_streams],
        [SETTING.INITIAL_WINDOW_SIZE, this.#conf.http2_body_preread_size],
        [SETTING.MAX_FRAME_SIZE, MAX_FRAME_BYTES],
      ]),
    );
    this.send(windowUpdateFrame(0, MAX_WINDOW - DEFAULT_WINDOW));
    this.#deadline.set(coreModule.server(server).client_header_timeout);
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('end', () => this.#onEnd());
    socket.on('drain', () => this.#onDrain());
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
    this.send(goAwayFrame(this.#lastStream, CODE.NO_ERROR));
    if (this.#streams.size === 0) this.#finish();
  }

  destroy(): void {
    if (!this.#isGoingAway && !this.#isClosed) {
      this.#isGoingAway = true;
      this.send(goAwayFrame(this.#lastStream, CODE.NO_ERROR));
      this.flush();
    }
    this.#socket.destroySoon();
    this.#onClose();
  }

  // ---- input

  #onData(chunk: Buffer): void {
    if (this.#isClosed || this.isBroken) return;
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
    if (this.#isClosed || this.#streams.size > 0) return;
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
    if (this.#reader.isInside) this.#deadline.set(coreModule.server(this.#server()).client_header_timeout);
    else this.#deadline.set(conf.keepalive_timeout.timeoutMs);
  }

  #server() {
    return this.client.sniServer ?? this.client.listen.defaultServer;
  }

  #expired(): void {
    if (this.#reader.isInside || this.#lastStream === 0) {
      this.#fail(CODE.PROTOCOL_ERROR, 'client timed out (110: Connection timed out)');
    } else this.#fail(CODE.NO_ERROR, '');
  }

  #fail(code: number, message: string): void {
    if (message !== '') logConnection(this.client, 'info', message, 'processing HTTP/2 connection');
    if (!this.#isGoingAway) {
      this.#isGoingAway = true;
      this.send(goAwayFrame(this.#lastStream, code));
    }
    this.flush();
    this.isBroken = true;
    for (const stream of [...this.#streams.values()]) stream.gone();
    this.#finish();
  }

  /** Closes our side and waits a while for the client's, so that it gets to read the last frames. */
  #finish(): void {
    if (this.#isClosed) return;
    this.flush();
    this.isBroken = true;
    this.#socket.end();
    this.#socket.resume();
    this.#deadline.close();
    setTimeout(() => {
      this.#socket.destroy();
      this.#onClose();
    }, coreModule.location(this.#server().root).lingering_timeout).unref();
  }

  #onEnd(): void {
    if (this.#streams.size > 0 || this.#reader.isInside) {
      logConnection(this.client, 'info', 'client prematurely closed connection', 'processing HTTP/2 connection');
    }
    this.isBroken = true;
    this.#socket.destroySoon();
    this.#onClose();
  }

  #onClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.isBroken = true;
    this.#deadline.close();
    for (const stream of [...this.#streams.values()]) stream.gone();
    openConnections.delete(this);
    counters.active--;
    if (this.#isIdleCounted) counters.waiting--;
    if (!this.#socket.destroyed) this.#socket.destroySoon();
  }

  // ---- frames, called by the reader

  /** Whether a new stream may begin; its header block is read in any case. */
  onHeaders(id: number, block: Buffer, isEnded: boolean): void {
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
    const limit = this.#conf.http2_max_concurrent_streams;
    if (this.#streams.size >= limit) {
      logConnection(this.client, 'info', `concurrent streams exceeded ${this.#streams.size}`);
      this.reset(id, CODE.REFUSED_STREAM);
      return;
    }
    if (!this.#isAcknowledged && !isEnded && this.#conf.http2_body_preread_size < DEFAULT_WINDOW) {
      logConnection(this.client, 'info', 'client sent stream with data before settings were acknowledged');
      this.reset(id, CODE.REFUSED_STREAM);
      return;
    }
    this.#begin(id, fields, isEnded, block.length);
  }

  #begin(id: number, fields: readonly (readonly [string, string])[], isEnded: boolean, bytes: number): void {
    if (this.#isIdleCounted) {
      this.#isIdleCounted = false;
      counters.waiting--;
    }
    this.#deadline.clear();
    const stream = new H2Stream(this, id, this.#initialWindow, this.#conf.http2_body_preread_size);
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
      this.send(goAwayFrame(id, CODE.NO_ERROR));
    }
    const { r } = stream;
    const admission = admit(r, fields, isEnded);
    if (admission.kind === 'reset') stream.terminate(CODE.PROTOCOL_ERROR);
    else if (admission.kind === 'answer') r.finalize(admission.status);
    else r.run();
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
      this.send(windowUpdateFrame(0, MAX_WINDOW - this.#receiveWindow));
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

  onPriority(): void {
    if (--this.#priorityLeft === 0) {
      throw new H2Error(CODE.ENHANCE_YOUR_CALM, 'client sent too many PRIORITY frames');
    }
  }

  onReset(id: number, code: number): void {
    const stream = this.#streams.get(id);
    if (!stream) return;
    const what =
      code === CODE.CANCEL
        ? `client canceled stream ${id}`
        : code === CODE.REFUSED_STREAM
          ? `client refused stream ${id}`
          : code === CODE.INTERNAL_ERROR
            ? `client terminated stream ${id} due to internal error`
            : `client terminated stream ${id} with status ${code}`;
    stream.r.log('info', what);
    stream.gone();
  }

  onSettings(settings: Iterable<readonly [id: number, value: number]>): void {
    const wrong = (name: string, value: number, code: number = CODE.PROTOCOL_ERROR): never => {
      throw new H2Error(code, `client sent SETTINGS frame with incorrect ${name} value ${value}`);
    };
    let window = this.#initialWindow;
    for (const [id, value] of settings) {
      switch (id) {
        case SETTING.INITIAL_WINDOW_SIZE:
          if (value > MAX_WINDOW) wrong('INITIAL_WINDOW_SIZE', value, CODE.FLOW_CONTROL_ERROR);
          window = value;
          break;
        case SETTING.MAX_FRAME_SIZE:
          if (value < DEFAULT_FRAME_BYTES || value > MAX_FRAME_BYTES) wrong('MAX_FRAME_SIZE', value);
          this.#peerFrameBytes = value;
          break;
        case SETTING.ENABLE_PUSH:
          if (value > 1) wrong('ENABLE_PUSH', value);
      }
    }
    this.send(frame(FRAME.SETTINGS, FLAG.ACK, 0, 0));
    const delta = window - this.#initialWindow;
    this.#initialWindow = window;
    if (delta === 0) return;
    for (const stream of [...this.#streams.values()]) {
      if (delta > 0 && stream.sendWindow > MAX_WINDOW - delta) {
        stream.terminate(CODE.FLOW_CONTROL_ERROR);
        continue;
      }
      stream.sendWindow += delta;
      this.schedule(stream);
    }
  }

  onSettingsAck(): void {
    this.#isAcknowledged = true;
  }

  onPing(payload: Buffer): void {
    const answer = frame(FRAME.PING, FLAG.ACK, 0, payload.length);
    payload.copy(answer, HEAD_BYTES);
    this.send(answer);
  }

  onWindowUpdate(id: number, increment: number): void {
    if (id === 0) {
      if (increment > MAX_WINDOW - this.#sendWindow) {
        throw new H2Error(
          CODE.FLOW_CONTROL_ERROR,
          `client violated connection flow control: received WINDOW_UPDATE frame with window increment ${increment} not allowed for window ${this.#sendWindow}`,
        );
      }
      this.#sendWindow += increment;
      for (const stream of this.#streams.values()) this.schedule(stream);
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
    this.schedule(stream);
  }

  // ---- output

  /** Puts bytes into the output of this turn. */
  send(bytes: Buffer): void {
    this.#out.push(bytes);
    this.#queueFlush();
  }

  /** Sends a header block in frames of the size that the peer takes; returns the bytes that it took. */
  sendHeaders(id: number, block: string, flags: number): number {
    const limit = this.#peerFrameBytes;
    let bytes = 0;
    for (let at = 0; at === 0 || at < block.length; at += limit) {
      const part = block.slice(at, at + limit);
      const isLast = at + limit >= block.length;
      const head = frame(
        at === 0 ? FRAME.HEADERS : FRAME.CONTINUATION,
        (at === 0 ? flags : 0) | (isLast ? FLAG.END_HEADERS : 0),
        id,
        part.length,
      );
      head.write(part, HEAD_BYTES, 'latin1');
      bytes += head.length;
      this.send(head);
    }
    return bytes;
  }

  reset(id: number, code: number): void {
    this.send(rstStreamFrame(id, code));
  }

  growWindow(id: number, increment: number): void {
    this.send(windowUpdateFrame(id, increment));
  }

  /** A stream has something to send, or may send again. */
  schedule(stream: H2Stream): void {
    if (!stream.canSend) return;
    this.#ready.add(stream);
    this.#queueFlush();
  }

  afterFlush(act: () => void): void {
    this.#afterFlush.push(act);
    this.#queueFlush();
  }

  #queueFlush(): void {
    if (this.#isFlushQueued || this.#isClosed) return;
    this.#isFlushQueued = true;
    process.nextTick(() => {
      this.#isFlushQueued = false;
      this.flush();
    });
  }

  /** Gives the socket what is ready: streams take turns, a frame each, as far as windows and the socket allow. */
  flush(): void {
    if (this.#isClosed || this.isBroken) return;
    const produced: H2Stream[] = [];
    let waiting = this.#socket.writableLength;
    while (this.#ready.size > 0 && waiting < OUTPUT_BYTES) {
      let isStuck = true;
      for (const stream of this.#ready) {
        this.#ready.delete(stream);
        if (!stream.canSend) continue;
        if (stream.queued > 0 && this.#sendWindow === 0) continue;
        const taken = stream.produce(Math.min(this.#sendWindow, this.#peerFrameBytes));
        this.#sendWindow -= taken;
        waiting += taken + HEAD_BYTES;
        isStuck = false;
        produced.push(stream);
        if (stream.canSend) this.#ready.add(stream);
        if (waiting >= OUTPUT_BYTES) break;
      }
      if (isStuck) break;
    }
    const out = this.#out;
    if (out.length) {
      this.#out = [];
      if (out.length === 1) this.#socket.write(out[0]!);
      else this.#socket.write(Buffer.concat(out));
    }
    const acts = this.#afterFlush;
    this.#afterFlush = [];
    for (const act of acts) act();
    for (const stream of produced) stream.drained();
  }

  #onDrain(): void {
    if (this.#ready.size > 0) this.#queueFlush();
  }

  streamClosed(stream: H2Stream): void {
    this.#ready.delete(stream);
    this.#streams.delete(stream.id);
    if (this.#streams.size === 0) this.#settle();
  }
}
