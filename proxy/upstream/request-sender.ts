// Sends a request's body to the upstream's connection: from memory, from its temporary file, or as the client sends it
// (proxy_request_buffering off), always at the pace of the slower side.
import type { Exchange } from '../http/exchange.ts';
import type { BodyReader, BodyStore, RequestBody } from '../http/request-body.ts';
import type { UpstreamConnection } from './connection.ts';

/** Bodies up to this size leave together with the head, in one write. */
const ONE_WRITE_BYTES = 16_384;
const FILE_READ_BYTES = 65_536;

export interface SenderOwner {
  /** The whole request has been handed to the connection and taken by it. */
  onRequestSent(): void;
  /** The client's body cannot be had (400, 408, 413, 499). */
  onBodyFailed(code: number): void;
  /** Some of it waits for the server (true) or for the client (false). */
  onBlocked(isByServer: boolean): void;
}

/** Sends a body that was read whole. A new one is made for each try. */
export class StoredSender {
  readonly #connection: UpstreamConnection;
  readonly #owner: SenderOwner;
  readonly #store: BodyStore | undefined;
  #at = 0;
  #isDone = false;

  constructor(connection: UpstreamConnection, owner: SenderOwner, store: BodyStore | undefined) {
    this.#connection = connection;
    this.#owner = owner;
    this.#store = store;
  }

  start(head: string): void {
    const store = this.#store;
    if (!store || store.length === 0) {
      this.#connection.write(head);
      this.#at = 0;
      this.#finish();
      return;
    }
    if (!store.isInFile && store.length <= ONE_WRITE_BYTES) {
      this.#at = store.length;
      this.#connection.write(head + store.bytes().toString('latin1'));
    } else this.#connection.write(head);
    this.goOn();
  }

  /** Writes as much as the server takes. */
  goOn(): void {
    if (this.#isDone) return;
    const store = this.#store!;
    while (this.#at < store.length) {
      if (this.#connection.isBackedUp) {
        this.#owner.onBlocked(true);
        return;
      }
      const piece = store.slice(this.#at, FILE_READ_BYTES);
      this.#at += piece.length;
      this.#connection.write(piece);
    }
    this.#finish();
  }

  #finish(): void {
    if (this.#connection.isBackedUp) {
      this.#owner.onBlocked(true);
      return;
    }
    this.#isDone = true;
    this.#owner.onRequestSent();
  }
}

/** Passes a body on while it comes. `isChunked`: it is framed anew in chunks. */
export class StreamedSender implements BodyReader {
  readonly #r: Exchange;
  readonly #body: RequestBody;
  readonly #connection: UpstreamConnection;
  readonly #owner: SenderOwner;
  readonly #isChunked: boolean;
  #head: string | undefined;
  #isEnded = false;
  #isStopped = false;

  constructor(r: Exchange, body: RequestBody, connection: UpstreamConnection, owner: SenderOwner, isChunked: boolean) {
    this.#r = r;
    this.#body = body;
    this.#connection = connection;
    this.#owner = owner;
    this.#isChunked = isChunked;
  }

  start(head: string): void {
    // What has come already leaves together with the head.
    this.#head = head;
    this.#body.stream(this);
    if (this.#head !== undefined) this.#flushHead();
  }

  #flushHead(): string {
    const head = this.#head!;
    this.#head = undefined;
    this.#connection.write(head);
    if (!this.#isEnded) this.#owner.onBlocked(false);
    return head;
  }

  onData(chunk: Buffer): void {
    if (this.#isStopped) return;
    const prefix = this.#head ?? '';
    this.#head = undefined;
    const size = this.#isChunked ? `${chunk.length.toString(16)}\r\n` : '';
    if (chunk.length <= ONE_WRITE_BYTES) {
      this.#connection.write(prefix + size + chunk.toString('latin1') + (this.#isChunked ? '\r\n' : ''));
    } else {
      if (prefix + size !== '') this.#connection.write(prefix + size);
      this.#connection.write(chunk);
      if (this.#isChunked) this.#connection.write('\r\n');
    }
    if (this.#connection.isBackedUp) {
      this.#r.downstream.pauseBody();
      this.#owner.onBlocked(true);
    } else this.#owner.onBlocked(false);
  }

  onEnd(code: number): void {
    if (this.#isStopped) return;
    this.#isEnded = true;
    if (code !== 0) {
      this.#owner.onBodyFailed(code);
      return;
    }
    const prefix = this.#head ?? '';
    this.#head = undefined;
    const tail = prefix + (this.#isChunked ? '0\r\n\r\n' : '');
    if (tail !== '') this.#connection.write(tail);
    this.goOn();
  }

  /** The server takes more. */
  goOn(): void {
    if (this.#isStopped || this.#connection.isBackedUp) return;
    if (this.#isEnded) {
      this.#isStopped = true;
      this.#owner.onRequestSent();
    } else this.#r.downstream.resumeBody();
  }

  /** The server has answered, or is gone: the rest of the body is not wanted. */
  stop(): void {
    this.#isStopped = true;
    this.#head = undefined;
  }
}
