// Leads the bytes of a request's body from the connection to the exchange, while it wants them: what comes too early or
// too much is kept in the read-ahead.
import { coreModule } from '../modules/core-rows.ts';
import type { Deadline } from '../timer.ts';
import type { Exchange } from './exchange.ts';
import type { ReadAhead } from './read-ahead.ts';

export class BodyFeed {
  readonly #ahead: ReadAhead;
  readonly #deadline: Deadline;
  readonly #completed: () => void;
  #r: Exchange | undefined;
  #isPaused = false;
  /** The exchange is over and only the rest of its body is read away. */
  isDraining = false;

  /** `completed` is called when the last byte of a body has come. */
  constructor(ahead: ReadAhead, deadline: Deadline, completed: () => void) {
    this.#ahead = ahead;
    this.#deadline = deadline;
    this.#completed = completed;
  }

  /** A body is being read. */
  get isReading(): boolean {
    return this.#r !== undefined;
  }

  /** Bytes of the socket may go straight to the body. */
  get isOpen(): boolean {
    return this.#r !== undefined && !this.#isPaused && this.#ahead.isEmpty;
  }

  /** Forgets the last request's body. */
  reset(): void {
    this.#r = undefined;
    this.#isPaused = false;
    this.isDraining = false;
  }

  start(r: Exchange): void {
    this.#r = r;
    r.testExpect();
    this.#deadline.set(coreModule.location(r.location).client_body_timeout);
    this.resume();
  }

  pause(): void {
    this.#isPaused = true;
    this.#deadline.clear();
  }

  resume(): void {
    const wasPaused = this.#isPaused;
    this.#isPaused = false;
    if (!this.#r) return;
    // The client is waited for again.
    if (wasPaused) this.#deadline.set(coreModule.location(this.#r.location).client_body_timeout);
    const kept = this.#ahead.take();
    if (kept) this.take(kept);
    this.#ahead.resume();
  }

  /** Takes bytes of the wire; what lies behind the body is kept for the next request. */
  take(buf: Buffer): void {
    const r = this.#r!;
    const body = r.body!;
    const end = body.feed(buf, 0);
    if (!body.isDiscarded) r.requestLength += end;
    if (end < buf.length) this.#ahead.add(buf.subarray(end));
    if (body.isComplete) {
      this.#r = undefined;
      if (!this.isDraining) this.#deadline.clear();
      this.#completed();
    } else {
      const conf = coreModule.location(r.location);
      this.#deadline.set(this.isDraining ? conf.lingering_timeout : conf.client_body_timeout);
    }
  }

  /** The client closed its side within the body. */
  cut(): void {
    const r = this.#r;
    if (!r?.body || r.body.isComplete) return;
    r.log('info', 'client prematurely closed connection');
    r.isKeepalive = false;
    r.isClientBroken = true;
    r.body.fail(400);
  }

  /** The client sent nothing for client_body_timeout; false when no body was waited for. */
  expire(): boolean {
    const r = this.#r;
    if (!r || this.isDraining) return false;
    r.log('info', 'client timed out');
    r.isKeepalive = false;
    r.body!.fail(408);
    return true;
  }
}
