/**
 * A client connection that is read and written by blocking system calls on its descriptor: what Python's socket in blocking mode is.
 * It may be used by the thread that accepted it or by another thread of the process, under the GIL that is dropped around each call.
 */
import { readSync, writeSync } from 'node:fs';
import { ClientGone } from './errors.ts';

/** Runs a function that may block, with the GIL released around it. */
export type AllowThreads = <Result>(call: () => Result) => Result;

/** Both ends of a connection as the environ wants them; a unix socket has a path and no port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number | null;
}

const CHUNK_BYTES = 8192;
const GONE = new Set(['EPIPE', 'ECONNRESET', 'ENOTCONN']);

/** The bytes of one connection, with what was read but not used yet. Reading past the end gives an empty buffer, as recv() does. */
export class BlockingSocket {
  readonly fd: number;
  readonly peer: Endpoint;
  readonly local: Endpoint;
  #unread: Buffer | null = null;
  protected readonly allowThreads: AllowThreads;

  constructor(fd: number, peer: Endpoint, local: Endpoint, allowThreads: AllowThreads, unread: Buffer | null = null) {
    this.fd = fd;
    this.peer = peer;
    this.local = local;
    this.allowThreads = allowThreads;
    this.#unread = unread;
  }

  /** Bytes that were put back, or else one blocking read of at most 8192 bytes. Throws ClientGone when the peer reset. */
  read(): Buffer {
    const kept = this.#unread;
    if (kept) {
      this.#unread = null;
      return kept;
    }
    return this.receive();
  }

  /** One blocking read of the descriptor. */
  protected receive(): Buffer {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    try {
      const bytes = this.allowThreads(() => readSync(this.fd, chunk, 0, CHUNK_BYTES, null));
      return chunk.subarray(0, bytes);
    } catch (error) {
      throw gone(error);
    }
  }

  /** Puts bytes back; the next read gives them first. */
  unread(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#unread = this.#unread ? Buffer.concat([bytes, this.#unread]) : bytes;
  }

  /** What was read ahead and not used. */
  get pending(): Buffer | null {
    return this.#unread;
  }

  /** Writes everything, blocking as long as it takes. Throws ClientGone when nobody is there to read it. */
  write(bytes: Uint8Array): void {
    this.transmit(bytes);
  }

  protected transmit(bytes: Uint8Array): void {
    try {
      for (let at = 0; at < bytes.length; ) {
        const start = at;
        at += this.allowThreads(() => writeSync(this.fd, bytes, start));
      }
    } catch (error) {
      throw gone(error);
    }
  }
}

function gone(error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return GONE.has(code) ? new ClientGone(code) : error;
}
