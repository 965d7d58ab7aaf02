// After `101 Switching Protocols`: bytes go both ways between client and server until one of them ends, or nothing
// moves for proxy_read_timeout. Mirrors ngx_http_upstream_process_upgraded.
import { OK } from '../http/codes.ts';
import type { RawDownstream } from '../http/exchange.ts';
import type { UpstreamRequest } from './request.ts';

export class Tunnel {
  readonly #u: UpstreamRequest;
  #client!: RawDownstream;
  #isClosed = false;

  /** Takes the client's connection over; undefined where that cannot be (a subrequest, HTTP/2). */
  static open(u: UpstreamRequest): Tunnel | undefined {
    const { r } = u;
    if (r.parent || !r.downstream.takeOver) return undefined;
    const tunnel = new Tunnel(u);
    r.isKeepalive = false;
    r.onAbort = undefined;
    tunnel.#client = r.downstream.takeOver(
      r,
      (chunk) => tunnel.#fromClient(chunk),
      () => tunnel.#clientEnded(),
    );
    tunnel.#client.onDrain = () => tunnel.#clientDrained();
    u.connection?.setDeadline(u.settings.readTimeoutMs);
    return tunnel;
  }

  constructor(u: UpstreamRequest) {
    this.#u = u;
  }

  #fromClient(chunk: Buffer): void {
    const { connection, settings } = this.#u;
    if (this.#isClosed || !connection) return;
    if (connection.write(chunk)) connection.setDeadline(settings.readTimeoutMs);
    else {
      this.#client.pause();
      connection.setDeadline(settings.sendTimeoutMs);
    }
  }

  fromServer(bytes: Buffer, at: number, end: number): void {
    const { connection, settings } = this.#u;
    if (this.#isClosed || !connection) return;
    connection.setDeadline(settings.readTimeoutMs);
    if (!this.#client.write(Buffer.from(bytes.subarray(at, end)))) connection.pause();
  }

  /** The server takes more. */
  serverDrained(): void {
    if (this.#isClosed) return;
    this.#u.connection?.setDeadline(this.#u.settings.readTimeoutMs);
    this.#client.resume();
  }

  #clientDrained(): void {
    if (!this.#isClosed) this.#u.connection?.resume();
  }

  serverEnded(): void {
    this.#end();
  }

  #clientEnded(): void {
    this.#end();
  }

  #end(): void {
    if (!this.#isClosed) this.#u.finalize(OK);
  }

  /** Gives the client's connection back, to be closed. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#client.end();
  }
}
