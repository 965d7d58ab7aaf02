// One deadline that is moved often and reached seldom: moving it later costs an assignment, not a new timer. Each
// connection has one for its client side and each upstream connection one for its own.

export class Deadline {
  #at = 0;
  #fires = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #expired: () => void;

  constructor(expired: () => void) {
    this.#expired = expired;
  }

  /** Expires `ms` from now unless moved or cleared. */
  set(ms: number): void {
    const now = performance.now();
    this.#at = now + ms;
    if (this.#timer) {
      if (this.#fires <= this.#at) return;
      clearTimeout(this.#timer);
    }
    this.#arm(ms, now);
  }

  get isSet(): boolean {
    return this.#at !== 0;
  }

  /** Forgets the deadline; the underlying timer is left to run out, as another deadline usually follows. */
  clear(): void {
    this.#at = 0;
  }

  /** Frees the timer for good. */
  close(): void {
    this.#at = 0;
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(ms: number, now: number): void {
    // Longer than Node's timers can be is for ever.
    const wait = Math.min(Math.max(1, Math.ceil(ms)), 2 ** 31 - 1);
    this.#fires = now + wait;
    this.#timer = setTimeout(() => this.#tick(), wait);
  }

  #tick(): void {
    this.#timer = undefined;
    if (this.#at === 0) return;
    const now = performance.now();
    // setTimeout may fire a fraction of a ms early.
    if (this.#at > now + 0.5) {
      this.#arm(this.#at - now, now);
      return;
    }
    // The process may have stood still: what came meanwhile is read before anything is called late, as nginx does.
    setImmediate(() => {
      if (this.#at === 0 || this.#at > now + 0.5) return;
      this.#at = 0;
      this.#expired();
    });
  }
}
