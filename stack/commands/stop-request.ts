// Turns the ways in which a user ends `portico up` into one request: Ctrl-C, TERM, a closed terminal, the end of the
// `portico` process that started this one. A second Ctrl-C asks for more.

// npm passes a Ctrl-C on to its script, which the terminal has sent it to already: two signals, one wish.
const SAME_WISH_MS = 300;

export class StopRequest {
  readonly #requested = Promise.withResolvers<void>();
  readonly #signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  readonly #onSignal = (): void => this.#request();
  readonly #onBrokenPipe = (error: NodeJS.ErrnoException): void => {
    if (error.code === 'EPIPE' || error.code === 'EIO') this.#request();
  };
  #firstAt: number | undefined;
  #second: (() => void) | undefined;
  #isSecondDue = false;

  constructor() {
    for (const name of this.#signals) process.on(name, this.#onSignal);
    process.on('disconnect', this.#onSignal);
    process.stdout.on('error', this.#onBrokenPipe);
  }

  /** Resolves at the first request. */
  get requested(): Promise<void> {
    return this.#requested.promise;
  }

  get isRequested(): boolean {
    return this.#firstAt !== undefined;
  }

  /** Calls `act` at the next request after the first, or at once if that has come already. */
  onSecond(act: () => void): void {
    this.#second = act;
    if (this.#isSecondDue) act();
  }

  /** Everything is stopped. Signals stay caught: one more Ctrl-C must not take the exit status away. */
  dispose(): void {
    this.#second = undefined;
    process.off('disconnect', this.#onSignal);
  }

  #request(): void {
    const now = Date.now();
    if (this.#firstAt === undefined) {
      this.#firstAt = now;
      this.#requested.resolve();
    } else if (now - this.#firstAt > SAME_WISH_MS) {
      this.#isSecondDue = true;
      this.#second?.();
    }
  }
}
