// One name server: a UDP socket that is kept, and a TCP connection for answers that do not fit in a datagram. Sends
// queries and hands over whatever comes back; who asked and when to ask again is the resolver's business. A socket that
// fails is closed and made anew for the next query. Mirrors ngx_resolver_connection_t.
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, isIPv6, type Socket } from 'node:net';
import { errnoText } from './config/error.ts';

/** How long a TCP connection to a name server may go without sending. */
const TCP_IDLE_MS = 5000;

export interface NameServerEvents {
  /** A message came; it may be anything. */
  onMessage(bytes: Buffer, isTcp: boolean): void;
  onError(text: string): void;
}

export class NameServer {
  readonly address: string;
  readonly port: number;
  readonly #events: NameServerEvents;
  #udp: UdpSocket | undefined;
  /** Queries that wait for the socket. */
  #unsent: (() => void)[] | undefined;
  #tcp: Socket | undefined;
  #tcpTimer: NodeJS.Timeout | undefined;

  constructor(address: string, port: number, events: NameServerEvents) {
    this.address = address;
    this.port = port;
    this.#events = events;
  }

  /** Sends a query in a datagram; `failed` is called when that cannot be done. */
  sendUdp(query: Buffer, failed: () => void): void {
    const socket = this.#udp ?? this.#openUdp();
    const send = (): void => {
      // The answer to an earlier query may have closed the socket while this one waited.
      if (this.#udp !== socket) {
        failed();
        return;
      }
      socket.send(query, (error) => {
        if (!error) return;
        if (this.#udp === socket) this.#closeUdp();
        this.#log('send() failed', error);
        failed();
      });
    };
    if (this.#unsent) this.#unsent.push(send);
    else send();
  }

  #openUdp(): UdpSocket {
    const socket = createSocket(isIPv6(this.address) ? 'udp6' : 'udp4');
    this.#udp = socket;
    this.#unsent = [];
    socket.unref();
    socket.on('message', (bytes) => this.#events.onMessage(bytes, false));
    socket.on('error', (error) => {
      if (this.#udp !== socket) return;
      const unsent = this.#unsent;
      this.#closeUdp();
      this.#log(unsent ? 'connect() failed' : 'recv() failed', error);
      for (const send of unsent ?? []) send();
    });
    socket.connect(this.port, this.address, () => {
      if (this.#udp !== socket) return;
      const unsent = this.#unsent!;
      this.#unsent = undefined;
      for (const send of unsent) send();
    });
    return socket;
  }

  #closeUdp(): void {
    this.#udp?.close();
    this.#udp = undefined;
    this.#unsent = undefined;
  }

  /** Sends a query over TCP. */
  sendTcp(query: Buffer): void {
    const socket = this.#tcp ?? this.#openTcp();
    const length = Buffer.allocUnsafe(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]), () => {
      if (this.#tcp === socket) this.#watchTcp(socket);
    });
  }

  #openTcp(): Socket {
    const socket = connect({ host: this.address, port: this.port });
    this.#tcp = socket;
    let received: Buffer = Buffer.alloc(0);
    let isConnected = false;
    socket.unref();
    this.#watchTcp(socket);
    socket.on('connect', () => {
      isConnected = true;
    });
    socket.on('data', (chunk) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        this.#events.onMessage(received.subarray(2, end), true);
        received = received.subarray(end);
      }
    });
    socket.on('error', (error) => {
      this.#log(isConnected ? 'recv() failed' : `connect() to ${this.#name} failed`, error);
    });
    socket.on('close', () => {
      if (this.#tcp === socket) this.#closeTcp();
    });
    return socket;
  }

  #watchTcp(socket: Socket): void {
    clearTimeout(this.#tcpTimer);
    this.#tcpTimer = setTimeout(() => {
      if (this.#tcp === socket) this.#closeTcp();
    }, TCP_IDLE_MS).unref();
  }

  #closeTcp(): void {
    clearTimeout(this.#tcpTimer);
    this.#tcp?.destroy();
    this.#tcp = undefined;
  }

  get #name(): string {
    return isIPv6(this.address) ? `[${this.address}]:${this.port}` : `${this.address}:${this.port}`;
  }

  #log(what: string, error: Error): void {
    this.#events.onError(`${what} ${errnoText(error)} while resolving, resolver: ${this.#name}`);
  }
}
