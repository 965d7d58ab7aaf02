// A network between two programs on one machine: a TCP relay that delivers everything, also the end of a connection, so much
// later. On loopback a message is there in microseconds, and races that real networks lose every day are never lost.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class Relay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  /** Relays to 127.0.0.1:`port`, `delayMs` in each direction. */
  constructor(port: number, delayMs: number) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
      const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      join(near, far, delayMs);
      join(far, near, delayMs);
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.once('close', () => this.#sockets.delete(socket));
      }
    });
  }

  /** Begins to listen; gives the address for a peer. */
  async open(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

function join(from: Socket, to: Socket, delayMs: number): void {
  const later = (act: () => void): void => void setTimeout(act, delayMs);
  from.on('data', (data) => later(() => to.writable && to.write(data)));
  from.once('end', () => later(() => to.end()));
  // A reset is passed on as a reset.
  from.once('error', () => later(() => to.resetAndDestroy()));
}
