// What is known of a client's connection, whatever protocol it speaks: addresses, number, TLS. The realip module
// replaces the client's address; PROXY protocol adds its own.
import type { TLSSocket } from 'node:tls';
import type { ListenAddress } from '../listen/address.ts';
import type { ClientHello } from '../listen/tls-hello.ts';
import type { Trace } from './trace.ts';

/** Counts that `$connections_*` and stub_status show. */
export interface ConnectionCounters {
  accepted: number;
  handled: number;
  requests: number;
  active: number;
  reading: number;
  writing: number;
  waiting: number;
}

/** Those of this process. They are accessors so that who shares them with other workers can be told of a change. */
class ProcessCounters implements ConnectionCounters {
  accepted = 0;
  handled = 0;
  #requests = 0;
  #active = 0;
  #reading = 0;
  #writing = 0;
  #waiting = 0;
  /** Called at each change. */
  onChange: (() => void) | undefined;

  get requests(): number {
    return this.#requests;
  }

  set requests(value: number) {
    this.#requests = value;
    this.onChange?.();
  }

  get active(): number {
    return this.#active;
  }

  set active(value: number) {
    this.#active = value;
    this.onChange?.();
  }

  get reading(): number {
    return this.#reading;
  }

  set reading(value: number) {
    this.#reading = value;
    this.onChange?.();
  }

  get writing(): number {
    return this.#writing;
  }

  set writing(value: number) {
    this.#writing = value;
    this.onChange?.();
  }

  get waiting(): number {
    return this.#waiting;
  }

  set waiting(value: number) {
    this.#waiting = value;
    this.onChange?.();
  }
}

export const counters = new ProcessCounters();

let lastNumber = 0;

export class ClientConnection {
  readonly number = ++lastNumber;
  readonly listen: ListenAddress;
  /** Address as text (`127.0.0.1`, `::1`, `unix:`), and port (0 for unix sockets). */
  remoteAddress: string;
  remotePort: number;
  localAddress: string;
  localPort: number;
  tls: TLSSocket | undefined;
  /** Requests served on this connection, the current one included. */
  requests = 0;
  readonly startMs = Date.now();
  /** Address and port as the PROXY protocol gave them. */
  proxyProtocol: { address: string; port: number; serverAddress: string; serverPort: number } | undefined;
  /** The connection itself, where a request sees another client address than it has (realip). */
  original: ClientConnection | undefined;
  /** What a TLS client offered. */
  hello: ClientHello | undefined;
  /** Who is told of every decision on its requests (`portico explain`). */
  trace: Trace | undefined;
  /** The server chosen by SNI, until a request names another. */
  sniServer: import('./virtual-server.ts').Server | undefined;

  constructor(
    listen: ListenAddress,
    remote: { address: string; port: number },
    local: { address: string; port: number },
  ) {
    this.listen = listen;
    this.remoteAddress = remote.address;
    this.remotePort = remote.port;
    this.localAddress = local.address;
    this.localPort = local.port;
  }
}
