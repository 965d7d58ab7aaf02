// The client's connection after an upgrade (WebSocket): bytes both ways, no HTTP any more.
import type { Socket } from 'node:net';
import type { Exchange, RawDownstream } from './exchange.ts';
import type { Http1Output } from './http1-output.ts';

export class ClientTunnel implements RawDownstream {
  readonly onData: (chunk: Buffer) => void;
  readonly onEnd: () => void;
  onDrain: (() => void) | undefined;
  readonly #r: Exchange;
  readonly #socket: Socket;
  readonly #output: Http1Output;
  readonly #ended: () => void;

  /** `ended` is called when the owner has nothing more to send. */
  constructor(
    r: Exchange,
    socket: Socket,
    output: Http1Output,
    on: { data: (chunk: Buffer) => void; end: () => void; ended: () => void },
  ) {
    this.#r = r;
    this.#socket = socket;
    this.#output = output;
    this.onData = on.data;
    this.onEnd = on.end;
    this.#ended = on.ended;
  }

  write(chunk: Buffer): boolean {
    this.#output.writeRaw(this.#r, chunk);
    return !this.#output.isBackedUp;
  }

  end(): void {
    this.#ended();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}
