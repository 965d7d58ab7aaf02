// A connection of HTTP/1.1, one request at a time, on node:net and node:tls.
//
// It is our own and not undici's because this is the hot path of the generator: measured beside each other against nginx
// (64 connections), a request costs 13 to 17 us of CPU time here and 52 to 60 us with undici's dispatch(), which is the
// difference between measuring a fast proxy and measuring ourselves. HTTP/2, where that matters less, is undici's.
import type { Socket } from 'node:net';
import type { Connector } from './connect.ts';
import type { Channel, Exchange, Origin } from './exchange.ts';
import { type FailureKind, failureOf } from './failure.ts';
import { madeBy } from './made-by.ts';
import { field, ResponseReader } from './response-reader.ts';

const TRICKLE_MS = 50;

/** What a channel needs to know of the plan. */
export interface ChannelSettings {
  readonly isKeepalive: boolean;
  readonly reconnectAfter: number;
  readonly sendRate: number;
  readonly readRate: number;
}

export class Http1Channel implements Channel {
  readonly origin: Origin;
  current: Exchange | undefined;
  readonly #connector: Connector;
  readonly #settings: ChannelSettings;
  readonly #buffer: Buffer;
  readonly #onDone: (channel: Channel, exchange: Exchange) => void;
  readonly #reader = new ResponseReader();
  #socket: Socket | undefined;
  #isConnected = false;
  #isSending = false;
  #served = 0;
  #connectStart = 0;
  #trickle: NodeJS.Timeout | undefined;
  #error: Error | undefined;

  /** `buffer` is what all connections of a thread read into. */
  constructor(
    origin: Origin,
    connector: Connector,
    settings: ChannelSettings,
    buffer: Buffer,
    onDone: (channel: Channel, exchange: Exchange) => void,
  ) {
    this.origin = origin;
    this.#connector = connector;
    this.#settings = settings;
    this.#buffer = buffer;
    this.#onDone = onDone;
  }

  get isOpen(): boolean {
    return this.#isConnected;
  }

  start(exchange: Exchange): void {
    this.current = exchange;
    exchange.freeMs = performance.now();
    this.#reader.expect(exchange.request.hasResponseBody);
    if (this.#isConnected) this.#send(exchange, exchange.freeMs);
    else this.#connect();
  }

  abort(kind: FailureKind): void {
    const isConnecting = !this.#isConnected;
    this.#drop();
    this.#finish(kind === 'timeout' && isConnecting ? 'connect-timeout' : kind);
  }

  close(): void {
    this.#drop();
  }

  #connect(): void {
    this.#connectStart = performance.now();
    this.#served = 0;
    this.#error = undefined;
    const { isTls } = this.origin;
    const onData = (data: Buffer): void => this.#onData(socket, data);
    const socket = isTls
      ? this.#connector.openTls(this.origin, ['http/1.1'])
      : this.#connector.openPlain(this.origin, this.#buffer, onData);
    if (isTls) socket.on('data', onData);
    this.#socket = socket;
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      if (this.#socket !== socket) return;
      this.#isConnected = true;
      const exchange = this.current;
      if (exchange === undefined) return;
      const now = performance.now();
      exchange.connectMs = now - this.#connectStart;
      this.#send(exchange, now);
    });
    socket.on('error', (error: Error) => {
      if (this.#socket === socket) this.#error = error;
    });
    socket.on('end', () => this.#onEnd(socket));
    socket.on('close', () => this.#onEnd(socket));
  }

  #send(exchange: Exchange, nowMs: number): void {
    exchange.sentMs = nowMs;
    const { bytes } = exchange.request;
    if (this.#settings.sendRate === 0) this.#socket!.write(bytes);
    else this.#sendSlowly(bytes, 0);
  }

  #sendSlowly(bytes: Buffer, from: number): void {
    const step = Math.max(1, Math.round((this.#settings.sendRate * TRICKLE_MS) / 1000));
    // Slower than a byte a step: the steps get longer.
    const pauseMs = Math.max(TRICKLE_MS, 1000 / this.#settings.sendRate);
    const to = Math.min(bytes.length, from + step);
    this.#isSending = to < bytes.length;
    this.#socket!.write(bytes.subarray(from, to));
    if (this.#isSending) this.#trickle = setTimeout(() => this.#sendSlowly(bytes, to), pauseMs);
  }

  #onData(socket: Socket, data: Buffer): void {
    if (socket !== this.#socket) return;
    const exchange = this.current;
    if (exchange === undefined) {
      // Bytes that nothing asked for; some servers announce a timeout like this.
      this.#drop();
      return;
    }
    exchange.receivedBytes += data.length;
    let isComplete: boolean;
    try {
      isComplete = this.#reader.feed(data);
    } catch (error) {
      this.#drop();
      this.#finish(failureOf(error as Error));
      return;
    }
    const now = performance.now();
    if (this.#reader.hasHead && Number.isNaN(exchange.headMs)) exchange.headMs = now;
    if (isComplete) this.#complete(now);
    else if (this.#settings.readRate > 0) {
      socket.pause();
      setTimeout(() => socket.resume(), (data.length / this.#settings.readRate) * 1000);
    }
  }

  #complete(nowMs: number): void {
    this.#served++;
    const { isKeepalive, reconnectAfter } = this.#settings;
    // An answer that comes before all of the request is sent leaves a connection that is of no use any more.
    if (!this.#reader.isReusable || !isKeepalive || this.#isSending || this.#served === reconnectAfter) this.#drop();
    this.#finish(undefined, nowMs);
  }

  #onEnd(socket: Socket): void {
    if (socket !== this.#socket) return;
    const wasConnected = this.#isConnected;
    const error = this.#error;
    this.#drop();
    const exchange = this.current;
    if (exchange === undefined) return;
    if (this.#reader.end()) {
      this.#finish(undefined);
      return;
    }
    const kind = error === undefined ? 'closed' : failureOf(error);
    const isStale =
      wasConnected && this.#served > 0 && exchange.receivedBytes === 0 && (kind === 'closed' || kind === 'reset');
    this.#finish(isStale ? 'stale' : kind);
  }

  #drop(): void {
    clearTimeout(this.#trickle);
    this.#isSending = false;
    this.#isConnected = false;
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.destroy();
  }

  #finish(failure: FailureKind | undefined, nowMs = performance.now()): void {
    const exchange = this.current;
    if (exchange === undefined) return;
    this.current = undefined;
    exchange.endMs = nowMs;
    exchange.failure = failure;
    if (failure === undefined) {
      const { status, head, bodyStart } = this.#reader;
      exchange.status = status;
      if (head.includes('iming')) exchange.serverTiming = field(head, 'server-timing');
      if (status >= 500) exchange.madeBy = madeBy(head, bodyStart);
    }
    this.#onDone(this, exchange);
  }
}
