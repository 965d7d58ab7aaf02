/** An event that async code waits for, as asyncio.Event is: set, clear, and wait for whoever comes first. */
export class Flag {
  #isSet: boolean;
  #waiters: (() => void)[] = [];

  constructor(isSet = false) {
    this.#isSet = isSet;
  }

  get isSet(): boolean {
    return this.#isSet;
  }

  set(): void {
    this.#isSet = true;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  clear(): void {
    this.#isSet = false;
  }

  wait(): Promise<void> {
    if (this.#isSet) return Promise.resolve();
    return new Promise((done) => this.#waiters.push(done));
  }
}
