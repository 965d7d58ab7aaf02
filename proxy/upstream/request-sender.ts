// Sends a request's body to the upstream's connection: from memory, from its temporary file, or as the client sends it
// (proxy_request_buffering off), always at the pace of the slower side.
import { atEventEnd } from '../event-end.ts';
import type { Exchange } from '../http/exchange.ts';
import { type BodyReader, BodyStore, type RequestBody } from '../http/request-body.ts';
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
  readonly #owner: SenderOwner;
  #connection: UpstreamConnection | undefined;
  #isChunked = false;
  /** What came and was not sent: before there was a connection, or in this turn of the event loop. */
  #waiting: Buffer[] = [];
  #isFlushQueued = false;
  #isEnded = false;
  #isStopped = false;

  constructor(r: Exchange, body: RequestBody, owner: SenderOwner) {
    this.#r = r;
    this.#body = body;
    this.#owner = owner;
  }

  /** Reads what has come together with the request's head. When that is all of the body, returns it: there is nothing
   *  to stream. */
  prime(): BodyStore | undefined {
    this.#body.stream(this);
    if (this.#body.isComplete && !this.#isStopped) {
      const store = new BodyStore();
      for (const chunk of this.#waiting) store.append(chunk);
      return store;
    }
    if (!this.#isStopped) this.#r.downstream.pauseBody();
    return undefined;
  }

  /** The connection is there: `head` and what came so far are sent, then the rest as it comes. */
  start(connection: UpstreamConnection, head: string, isChunked: boolean): void {
    this.#connection = connection;
    this.#isChunked = isChunked;
    this.#flush(head);
  }

  /** Sends what waits as one piece (one chunk), and the end with it. */
  #flush(head: string): void {
    const connection = this.#connection!;
    const waiting = this.#waiting;
    this.#waiting = [];
    const piece = waiting.length === 1 ? waiting[0]! : Buffer.concat(waiting);
    let before = head;
    let after = this.#isChunked && this.#isEnded ? '0\r\n\r\n' : '';
    if (piece.length > 0 && this.#isChunked) {
      before += `${piece.length.toString(16)}\r\n`;
      after = `\r\n${after}`;
    }
    if (piece.length <= ONE_WRITE_BYTES) {
      const text = before + piece.toString('latin1') + after;
      if (text !== '') connection.write(text);
    } else {
      if (before !== '') connection.write(before);
      connection.write(piece);
      if (after !== '') connection.write(after);
    }
    this.goOn();
  }

  #queueFlush(): void {
    if (this.#isFlushQueued || !this.#connection) return;
    this.#isFlushQueued = true;
    atEventEnd(this);
  }

  /** Runs when everything that came in this turn is there. */
  flushQueued(): void {
    this.#isFlushQueued = false;
    if (!this.#isStopped) this.#flush('');
  }

  onData(chunk: Buffer): void {
    if (this.#isStopped) return;
    this.#waiting.push(chunk);
    this.#queueFlush();
  }

  onEnd(code: number): void {
    if (this.#isStopped) return;
    this.#isEnded = true;
    if (code === 0) {
      this.#queueFlush();
      return;
    }
    this.#isStopped = true;
    this.#owner.onBodyFailed(code);
  }

  /** The server takes more. */
  goOn(): void {
    if (this.#isStopped || this.#isFlushQueued) return;
    if (this.#connection!.isBackedUp) {
      if (!this.#isEnded) this.#r.downstream.pauseBody();
      this.#owner.onBlocked(true);
    } else if (this.#isEnded) {
      this.#isStopped = true;
      this.#owner.onRequestSent();
    } else {
      this.#owner.onBlocked(false);
      this.#r.downstream.resumeBody();
    }
  }

  /** The server has answered, or is gone: the rest of the body is not wanted. */
  stop(): void {
    this.#isStopped = true;
    this.#waiting = [];
  }
}
