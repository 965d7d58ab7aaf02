// The closed model: users that wait for their answer before they ask again, as wrk's connections do. When the server stalls,
// they all stall with it and ask less, so its latencies flatter the server; that is what the open model is for.
import type { Channel, Exchange } from '../client/exchange.ts';
import { levelAt } from './arrivals.ts';
import { Loop } from './loop.ts';

interface User {
  /** Its connections, by origin. */
  readonly channels: Map<string, Channel>;
  isActive: boolean;
}

/** After a failure that costs nothing (connection refused), a user waits so long, or it would only spin. */
const FAILED_PAUSE_MS = 10;

export class ClosedLoop extends Loop {
  readonly #users: User[] = [];
  readonly #owners = new Map<Channel, User>();
  /** The last connection of HTTP/2, whose places are given out one after another. */
  readonly #places = new Map<string, Channel[]>();
  #active = 0;
  #thinking = 0;
  #wanted = Number.POSITIVE_INFINITY;

  get waiting(): number {
    return 0;
  }

  get level(): number {
    return this.#active;
  }

  protected begin(): void {
    this.onTick(performance.now());
  }

  protected onTick(nowMs: number): void {
    if (this.isStopping || nowMs >= this.endMs || this.hasReachedLimit) return;
    const { level } = levelAt(this.plan.stages, nowMs - this.countFromMs);
    const places = this.plan.protocol === 'h2' ? this.plan.streams : 1;
    const wanted = Math.round(level) * places;
    // Those above the level leave when they have their answer.
    this.#wanted = wanted;
    while (this.#users.length < wanted) this.#users.push({ channels: new Map(), isActive: false });
    for (const [index, user] of this.#users.entries()) {
      if (user.isActive || index >= wanted) continue;
      user.isActive = true;
      this.#active++;
      this.#next(user);
    }
  }

  protected onStop(): void {}

  protected get isExhausted(): boolean {
    return (performance.now() >= this.endMs || this.hasReachedLimit) && this.running === 0 && this.#thinking === 0;
  }

  protected onDone(channel: Channel, exchange: Exchange): void {
    const user = this.#owners.get(channel)!;
    const [least, most] = this.plan.thinkMs;
    const think =
      most > 0 ? least + (most - least) * this.draw() : exchange.failure === undefined ? 0 : FAILED_PAUSE_MS;
    if (think === 0) {
      // Not from within the answer's own call, when it came at once.
      this.#next(user);
      return;
    }
    this.#thinking++;
    setTimeout(() => {
      this.#thinking--;
      this.#next(user);
      this.checkEnd();
    }, think);
  }

  #next(user: User): void {
    const now = performance.now();
    const exchange =
      this.isStopping || now >= this.endMs || this.#active > this.#wanted
        ? undefined
        : this.nextExchange(now, levelAt(this.plan.stages, now - this.countFromMs).stage);
    if (exchange === undefined) {
      user.isActive = false;
      this.#active--;
      return;
    }
    const { origin } = exchange.request;
    let channel = user.channels.get(origin.href);
    if (channel === undefined) {
      const places = this.#places.get(origin.href) ?? [];
      if (places.length === 0) places.push(...this.newChannels(origin));
      this.#places.set(origin.href, places);
      channel = places.pop()!;
      user.channels.set(origin.href, channel);
      this.#owners.set(channel, user);
    }
    this.start(channel, exchange);
  }
}
