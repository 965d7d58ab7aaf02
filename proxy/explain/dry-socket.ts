// The client of a request that is only explained: a socket without a network. It gives the proxy's HTTP code the bytes
// of one request and keeps what would have been sent back.
import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

export class DrySocket extends Duplex {
  readonly #written: Buffer[] = [];

  constructor() {
    super({ allowHalfOpen: true });
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#written.push(chunk);
    done();
  }

  /** What the proxy sent, as latin1. */
  get answer(): string {
    return Buffer.concat(this.#written).toString('latin1');
  }

  // What the proxy asks of a net.Socket besides.
  destroySoon(): void {
    this.end();
    this.destroy();
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }
}

/** What a request over TLS sees of its session: TLS 1.3, a new session, no client certificate. */
export function drySession(serverName: string): TLSSocket {
  const session = {
    alpnProtocol: 'http/1.1',
    authorized: false,
    authorizationError: undefined,
    servername: serverName,
    getProtocol: () => 'TLSv1.3',
    getCipher: () => ({ name: 'TLS_AES_256_GCM_SHA384', standardName: 'TLS_AES_256_GCM_SHA384', version: 'TLSv1.3' }),
    getEphemeralKeyInfo: () => ({}),
    getSession: () => undefined,
    isSessionReused: () => false,
    getPeerCertificate: () => ({}),
    getPeerX509Certificate: () => undefined,
  };
  return session as unknown as TLSSocket;
}
