// One connection to an upstream server, plain or TLS. It moves bytes and tells its owner (the request at work on it)
// what happened; between two requests it rests in a KeepalivePool. All connections read into one shared buffer, so what
// an owner wants to keep of it must be copied before it returns. Handlers are set once for the connection's life.
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { type TLSSocket, type ConnectionOptions as TlsOptions, connect as tlsConnect } from 'node:tls';
import { turnMs } from '../clock.ts';
import { beginEvent, endEvent } from '../event-end.ts';
import { Deadline } from '../timer.ts';
import type { PeerAddress } from './peer.ts';
import type { KeepalivePool } from './pool.ts';

const READ_BUFFER_BYTES = 65_536;
const readBuffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);

/** What a connection tells the request that it serves. */
export interface ConnectionOwner {
  /** Connected, and for TLS secured; requests may be written. */
  onConnect(): void;
  /** `length` bytes came; they are valid until this returns. */
  onData(bytes: Buffer, length: number): void;
  /** The server closed its side. */
  onEnd(): void;
  onError(error: NodeJS.ErrnoException): void;
  /** What was written has left; more may be written. */
  onDrain(): void;
  onTimeout(): void;
}

/** Beyond the address: what the location says about connections. */
export interface ConnectOptions {
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  readonly isSocketKeepalive: boolean;
  /** TLS settings; undefined for a plain connection. */
  readonly tls: TlsOptions | undefined;
  /** Where the connection is made instead of the peer's own address. */
  readonly address?: PeerAddress | undefined;
}

export class UpstreamConnection {
  readonly peerName: string;
  readonly startMs = turnMs();
  readonly socket: Socket;
  readonly isTls: boolean;
  /** Requests that it was used for, the current one included. */
  requests = 0;
  isConnected = false;
  /** TCP is connected, the TLS handshake may still be under way. */
  isTransportConnected = false;
  isEnded = false;
  isFailed = false;
  #owner: ConnectionOwner | undefined;
  #pool: KeepalivePool | undefined;
  #isPaused = false;
  #sentBefore = 0;
  readonly #deadline: Deadline;

  constructor(peerName: string, peerAddress: PeerAddress, options: ConnectOptions, owner: ConnectionOwner) {
    const address = options.address ?? peerAddress;
    this.peerName = peerName;
    this.#owner = owner;
    this.#deadline = new Deadline(() => this.#expired());
    const onread = {
      buffer: readBuffer,
      callback: (length: number, buffer: Uint8Array): boolean => this.#read(length, buffer as Buffer),
    };
    const target: NetConnectOpts =
      address.family === 'unix'
        ? { path: address.host }
        : {
            host: address.host,
            port: address.port,
            family: address.family,
            noDelay: true,
            keepAlive: options.isSocketKeepalive,
            localAddress: options.localAddress,
            localPort: options.localPort,
            autoSelectFamily: false,
          };
    this.isTls = options.tls !== undefined;
    if (options.tls) {
      // @types/node does not know that tls.connect takes `onread` too.
      const socket = tlsConnect({ ...options.tls, ...target, onread, allowHalfOpen: true } as object as TlsOptions);
      this.socket = socket;
      socket.on('connect', () => this.#transportConnected());
      socket.on('secureConnect', () => this.#connected());
    } else {
      this.socket = connect({ ...target, onread, allowHalfOpen: true } as NetConnectOpts);
      this.socket.on('connect', () => {
        this.#transportConnected();
        this.#connected();
      });
    }
    this.socket.on('end', () => this.#end());
    this.socket.on('error', (error: NodeJS.ErrnoException) => this.#error(error));
    this.socket.on('drain', () => this.#owner?.onDrain());
    this.socket.on('close', () => this.#end());
  }

  get tlsSocket(): TLSSocket {
    return this.socket as TLSSocket;
  }

  /** Bytes written for the current request. */
  get bytesSent(): number {
    return this.socket.bytesWritten - this.#sentBefore;
  }

  get isBackedUp(): boolean {
    return this.socket.writableNeedDrain;
  }

  /** Writes; false when the server is slow: wait for onDrain. */
  write(data: string | Buffer): boolean {
    return typeof data === 'string' ? this.socket.write(data, 'latin1') : this.socket.write(data);
  }

  /** Calls onTimeout in `ms` unless set anew or cleared. */
  setDeadline(ms: number): void {
    this.#deadline.set(ms);
  }

  clearDeadline(): void {
    this.#deadline.clear();
  }

  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.socket.resume();
  }

  /** Puts the connection, fresh out of a pool, to work for `owner`. */
  serve(owner: ConnectionOwner): void {
    this.#owner = owner;
    this.#pool = undefined;
    this.#deadline.clear();
    this.#sentBefore = this.socket.bytesWritten;
  }

  /** Lets it rest in `pool` until it is taken, closed by the server, or too old. */
  rest(pool: KeepalivePool, timeoutMs: number): void {
    this.#owner = undefined;
    this.#pool = pool;
    this.resume();
    this.#deadline.set(timeoutMs);
  }

  /** Closes it; its owner hears no more. */
  destroy(): void {
    this.#owner = undefined;
    this.#pool = undefined;
    this.#deadline.close();
    if (this.socket.destroyed) return;
    // The server is told with a close_notify that TLS ends here.
    if (this.isTls && this.isConnected && !this.isFailed) this.socket.destroySoon();
    else this.socket.destroy();
  }

  #transportConnected(): void {
    this.isTransportConnected = true;
  }

  #connected(): void {
    this.isConnected = true;
    this.#owner?.onConnect();
  }

  #read(length: number, bytes: Buffer): boolean {
    if (this.#owner) {
      beginEvent();
      try {
        this.#owner.onData(bytes, length);
      } finally {
        endEvent();
      }
      return !this.#isPaused;
    }
    // Nobody asked: an idle connection that talks is no longer in step.
    this.#drop();
    return true;
  }

  #end(): void {
    if (this.isEnded) return;
    this.isEnded = true;
    if (this.#owner) this.#owner.onEnd();
    else this.#drop();
  }

  #error(error: NodeJS.ErrnoException): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.isFailed = true;
    if (this.#owner) this.#owner.onError(error);
    else this.#drop();
  }

  #expired(): void {
    if (this.#owner) this.#owner.onTimeout();
    else this.#drop();
  }

  #drop(): void {
    this.#pool?.remove(this);
    this.destroy();
  }
}
