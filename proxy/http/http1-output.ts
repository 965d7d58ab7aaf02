// The writing half of an HTTP/1.x client connection: head, chunked framing, and as few system calls as can be: a small
// response leaves in one write, head and body together.
import { readSync } from 'node:fs';
import type { Socket } from 'node:net';
import { atEventEnd } from '../event-end.ts';
import { coreModule } from '../modules/core-rows.ts';
import { Deadline } from '../timer.ts';
import type { Exchange } from './exchange.ts';
import { moveFile } from './file-to-socket.ts';
import { headText } from './http1-head.ts';

/** Pieces up to this size are joined with what is held back; larger ones go out as they are. */
const JOIN_BYTES = 2048;
/** Of a file that is sent unread: what waits in memory for room, and wakes when there is some. */
const WAITING_BYTES = 4096;

export class Http1Output {
  readonly #socket: Socket;
  readonly #expired: () => void;
  readonly #drained: () => void;
  readonly #written: (() => void) | undefined;
  #deadline: Deadline | undefined;
  #held = '';
  #isFlushQueued = false;
  #timeoutMs = 60_000;
  #postponeBytes = 0;
  /** The client does not take bytes as fast as they come. */
  isBackedUp = false;

  /**
   * `expired` is called when the client took nothing for send_timeout; `drained` when there is room again and the socket does not
   * tell by its event; `written`, if given, when the socket has written
   * something. A plain socket has mostly done so when write() returns; one with TLS never has, and tells later.
   */
  constructor(socket: Socket, expired: () => void, drained: () => void, written: (() => void) | undefined) {
    this.#socket = socket;
    this.#drained = drained;
    this.#expired = expired;
    this.#written = written;
  }

  sendHead(r: Exchange): void {
    const conf = coreModule.location(r.location);
    this.#timeoutMs = conf.send_timeout;
    this.#postponeBytes = conf.postpone_output;
    if (r.version < 1000) return;
    const head = headText(r);
    r.headBytesSent = head.length;
    r.bytesSent += head.length;
    this.#held += head;
    // A head that is all there is waits for nothing.
    if (r.isHeaderOnly) this.flush();
    else this.#queueFlush();
  }

  /** Writes a piece of the body, framed if the response is chunked. */
  write(r: Exchange, chunk: Buffer | string): void {
    const { length } = chunk;
    if (r.isChunkedOut) {
      const size = `${length.toString(16)}\r\n`;
      r.bytesSent += size.length + length + 2;
      this.#held += size;
      this.#append(chunk, length);
      this.#held += '\r\n';
    } else {
      r.bytesSent += length;
      this.#append(chunk, length);
    }
    if (this.#held !== '') this.#queueFlush();
  }

  #append(chunk: Buffer | string, length: number): void {
    if (typeof chunk === 'string') this.#held += chunk;
    else if (length <= JOIN_BYTES) this.#held += chunk.toString('latin1');
    else if (this.#held === '') this.#sent(this.#socket.write(chunk, this.#written));
    else {
      const held = this.#held;
      this.#held = '';
      this.#socket.cork();
      this.#socket.write(held, 'latin1');
      this.#sent(this.#socket.write(chunk, this.#written));
      this.#socket.uncork();
    }
  }

  /** The body is complete: the last chunk, trailers, and everything that was held back. */
  end(r: Exchange): void {
    if (r.isChunkedOut && !r.isHeaderOnly) {
      let tail = '0\r\n';
      if (r.out.trailers) for (const [name, value] of r.out.trailers) tail += `${name}: ${value}\r\n`;
      tail += '\r\n';
      r.bytesSent += tail.length;
      this.#held += tail;
    }
    this.flush();
  }

  /**
   * Sends a piece of an open file as body, unread; how many bytes were taken, or 0 when they are to be read and written. When the
   * system has no more room, a few bytes are read and wait for it, as nothing else tells when there is some.
   */
  sendFile(r: Exchange, fd: number, at: number, count: number): number {
    if (r.isChunkedOut) return 0;
    this.flush();
    if (this.#socket.writableLength > 0) return 0;
    let sent = moveFile(this.#socket, fd, at, count);
    if (sent > 0 && sent < count) {
      const next = readSome(fd, at + sent, Math.min(WAITING_BYTES, count - sent));
      if (next.length > 0) {
        sent += next.length;
        this.isBackedUp = true;
        this.expectProgress(this.#timeoutMs);
        this.#socket.write(next, (error) => error || this.#drained());
      }
    }
    r.bytesSent += sent;
    return sent;
  }

  /** Bytes of an upgraded connection. */
  writeRaw(r: Exchange, chunk: Buffer): void {
    r.bytesSent += chunk.length;
    this.#sent(this.#socket.write(chunk, this.#written));
  }

  /** The response is given up: what was held back is never sent, as nginx leaves it. */
  discard(r: Exchange): void {
    r.bytesSent -= this.#held.length;
    if (r.bytesSent < r.headBytesSent) r.headBytesSent = r.bytesSent;
    this.#held = '';
  }

  flush(): void {
    if (this.#held === '') return;
    const held = this.#held;
    this.#held = '';
    this.#sent(this.#socket.write(held, 'latin1', this.#written));
  }

  /** Memory that was written from may be used again: the system has it all, but for what is held back, which is a copy. */
  get isFlushed(): boolean {
    return this.#socket.writableLength === 0;
  }

  #sent(isTaken: boolean): void {
    // Node says "wait" for any write larger than its mark, also when the system took it at once.
    if (isTaken || this.isBackedUp || this.#socket.writableLength === 0) return;
    this.isBackedUp = true;
    this.expectProgress(this.#timeoutMs);
  }

  /** Gives up when nothing has been taken for `ms`. */
  expectProgress(ms: number): void {
    this.#deadline ??= new Deadline(this.#expired);
    this.#deadline.set(ms);
  }

  /** The client took everything. */
  drained(): void {
    this.isBackedUp = false;
    this.#deadline?.clear();
  }

  #queueFlush(): void {
    if (this.#isFlushQueued) return;
    this.#isFlushQueued = true;
    atEventEnd(this);
  }

  /** Runs at the end of the event in which something was held back; less than postpone_output waits for more. */
  flushQueued(): void {
    this.#isFlushQueued = false;
    if (this.#held.length >= this.#postponeBytes && !this.#socket.destroyed) this.flush();
  }

  close(): void {
    this.isBackedUp = false;
    this.#held = '';
    this.#deadline?.close();
  }
}

/** Up to `count` bytes of the file; none when they cannot be read: who reads them again finds out why. */
function readSome(fd: number, at: number, count: number): Buffer {
  const bytes = Buffer.allocUnsafe(count);
  try {
    return bytes.subarray(0, readSync(fd, bytes, 0, count, at));
  } catch {
    return bytes.subarray(0, 0);
  }
}
