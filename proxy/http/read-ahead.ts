// What a client sent before it was wanted: pipelined requests, a body whose reader waits. Bounded: the socket is
// paused while too much has piled up.
import type { Socket } from 'node:net';

const LIMIT_BYTES = 65_536;

export class ReadAhead {
  readonly #socket: Socket;
  #bytes: Buffer | undefined;
  #isPaused = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get isEmpty(): boolean {
    return this.#bytes === undefined;
  }

  /** Replaces what is kept; an empty buffer keeps nothing. */
  set(bytes: Buffer): void {
    this.#bytes = bytes.length ? bytes : undefined;
  }

  /** Keeps `chunk` behind what is there. */
  add(chunk: Buffer): void {
    this.#bytes = this.#bytes ? Buffer.concat([this.#bytes, chunk]) : chunk;
    if (this.#bytes.length > LIMIT_BYTES && !this.#isPaused) {
      this.#isPaused = true;
      this.#socket.pause();
    }
  }

  /** Everything kept and `chunk` behind it; nothing is kept any more. */
  takeWith(chunk: Buffer): Buffer {
    const kept = this.#bytes;
    this.#bytes = undefined;
    return kept ? Buffer.concat([kept, chunk]) : chunk;
  }

  take(): Buffer | undefined {
    const kept = this.#bytes;
    this.#bytes = undefined;
    return kept;
  }

  /** Lets the socket flow again. */
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume();
  }
}
