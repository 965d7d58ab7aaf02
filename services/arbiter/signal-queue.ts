/**
 * Signals as the arbiter's loop takes them: handlers only put them into a queue, and the loop waits for the queue, for a wake-up or for
 * its timeout. Nothing is ever done inside a handler, so nothing can interrupt what the loop is doing.
 */

const SIGNALS = [
  'SIGHUP',
  'SIGQUIT',
  'SIGINT',
  'SIGTERM',
  'SIGTTIN',
  'SIGTTOU',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
] as const;

/** A queue that one loop waits on. */
export class SignalQueue {
  #signals: NodeJS.Signals[] = [];
  #isAwake = false;
  #wake: (() => void) | null = null;

  /** Takes over all the signals of a master. */
  listen(signals: readonly NodeJS.Signals[] = SIGNALS): void {
    for (const signal of signals) {
      process.on(signal, () => {
        this.#signals.push(signal);
        this.wakeup();
      });
    }
  }

  /** Ends the current or next wait early, with no signal. */
  wakeup(): void {
    this.#isAwake = true;
    this.#wake?.();
  }

  /** The signals that have come, waiting at most `timeoutMs` for the first. */
  async wait(timeoutMs: number): Promise<NodeJS.Signals[]> {
    if (!this.#isAwake) {
      await new Promise<void>((done) => {
        const timer = setTimeout(done, timeoutMs);
        this.#wake = () => {
          clearTimeout(timer);
          done();
        };
      });
      this.#wake = null;
    }
    this.#isAwake = false;
    return this.#signals.splice(0);
  }
}
