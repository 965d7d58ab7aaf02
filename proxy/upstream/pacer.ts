// proxy_limit_rate: hands on so many bytes of a response a second and holds the rest back until their time has come.
// Mirrors the limit_rate of ngx_event_pipe_read_upstream: in each second that has begun, a second's worth.

export class Pacer {
  readonly #rate: number;
  readonly #feed: (bytes: Buffer, at: number, end: number) => void;
  readonly #startMs = Date.now();
  #fed = 0;
  #held: Buffer[] = [];
  #timer: NodeJS.Timeout | undefined;
  #then: (() => void) | undefined;

  constructor(rate: number, feed: (bytes: Buffer, at: number, end: number) => void) {
    this.#rate = rate;
    this.#feed = feed;
  }

  /** Nothing more should be read until `whenEmpty` says so. */
  get isHolding(): boolean {
    return this.#timer !== undefined;
  }

  take(bytes: Buffer, at: number, end: number): void {
    if (this.#timer) {
      this.#held.push(Buffer.from(bytes.subarray(at, end)));
      return;
    }
    const allowed = this.#rate * (Math.floor((Date.now() - this.#startMs) / 1000) + 1) - this.#fed;
    const stop = Math.min(end, at + Math.max(0, allowed));
    this.#fed += stop - at;
    if (stop < end) {
      this.#held.push(Buffer.from(bytes.subarray(stop, end)));
      // Until the next second begins.
      this.#timer = setTimeout(() => this.#goOn(), 1000 - ((Date.now() - this.#startMs) % 1000) + 1);
    }
    if (stop > at || at === end) this.#feed(bytes, at, stop);
  }

  #goOn(): void {
    this.#timer = undefined;
    const held = this.#held;
    this.#held = [];
    for (const piece of held) this.take(piece, 0, piece.length);
    if (this.#timer) return;
    const then = this.#then;
    this.#then = undefined;
    then?.();
  }

  /** Calls `then` when everything held was handed on, at once when nothing is held. */
  whenEmpty(then: () => void): void {
    if (this.#timer) this.#then = then;
    else then();
  }

  close(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#held = [];
    this.#then = undefined;
  }
}
