// A process that serves: its listeners on the sockets of a configuration, and the ways to stop. Worker processes and
// the single process (master_process off) are built around one.

import { type Cycle, coreOf, eventsOf, useCycle } from './cycle.ts';
import { openConnections, shutdown } from './http/open-connections.ts';
import { lifecycle, runAll } from './lifecycle.ts';
import { Listener, limits } from './listen/listener.ts';
import { type Handle, planSockets, type SocketPlan } from './listen/sockets.ts';

/** How often the graceful stop looks whether all connections are gone, besides being told of each idle one. */
const CHECK_MS = 20;

export class Serving {
  cycle: Cycle;
  readonly #listeners = new Map<string, Listener>();

  constructor(cycle: Cycle) {
    this.cycle = cycle;
  }

  /** Starts to accept on each socket; `handleOf` gives the bound handle of one that is not served yet. */
  async serve(cycle: Cycle, handleOf: (plan: SocketPlan) => Handle): Promise<void> {
    this.cycle = cycle;
    useCycle(cycle);
    limits.workerConnections = eventsOf(cycle).worker_connections;
    runAll(lifecycle.start, (error) => this.#failed(error));
    await this.accept(handleOf);
  }

  /** Accepts on the sockets of the configuration in force; a second time after pause(). */
  async accept(handleOf: (plan: SocketPlan) => Handle): Promise<void> {
    const plans = planSockets(this.cycle.config.listens);
    const waits: Promise<void>[] = [];
    for (const plan of plans) {
      const known = this.#listeners.get(plan.key);
      if (known) {
        known.use(plan);
        continue;
      }
      const listener = new Listener(plan);
      this.#listeners.set(plan.key, listener);
      waits.push(listener.listen(handleOf(plan), plan.backlog));
    }
    for (const [key, listener] of this.#listeners) {
      if (plans.some((p) => p.key === key)) continue;
      listener.close();
      this.#listeners.delete(key);
    }
    await Promise.all(waits);
  }

  get isAccepting(): boolean {
    return this.#listeners.size > 0;
  }

  /** Accepts no more for now; who wants to be served waits in the system's queue, which the master holds open. */
  pause(): void {
    for (const listener of this.#listeners.values()) listener.close();
    this.#listeners.clear();
  }

  /** Accepts no more, closes idle connections, lets the others finish; `done` when all are gone. */
  quit(done: () => void): void {
    shutdown.isExiting = true;
    this.pause();
    const { worker_shutdown_timeout: timeoutMs } = coreOf(this.cycle);
    if (timeoutMs > 0) setTimeout(() => this.closeAll(), timeoutMs).unref();
    // Requests that have arrived but were not read yet are served: look at the idle ones a turn of the loop later.
    const check = (): void => {
      for (const connection of openConnections) {
        if (connection.goAway) connection.goAway();
        else if (connection.isIdle) connection.destroy();
      }
      if (openConnections.size === 0) done();
      else setTimeout(check, CHECK_MS);
    };
    setImmediate(() => setImmediate(check));
  }

  /** Closes every connection at once. */
  closeAll(): void {
    for (const connection of openConnections) connection.destroy();
  }

  reopen(): void {
    runAll(lifecycle.reopen, (error) => this.#failed(error));
  }

  /** The last thing before the process ends. */
  finish(): void {
    runAll(lifecycle.exit, (error) => this.#failed(error));
  }

  #failed(error: unknown): void {
    this.cycle.log.write('alert', error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
}
