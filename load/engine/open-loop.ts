// The open model: requests are due at instants that the server has no influence on, as those of real users are. A request
// that finds no free connection waits for one, and its latency counts from when it was due: no coordinated omission.
import type { Channel, Exchange } from '../client/exchange.ts';
import type { h2Channels } from '../client/h2-channel.ts';
import { newHistogram, record } from '../measure/histogram.ts';
import type { Recorder } from '../measure/recorder.ts';
import type { LoadPlan } from '../plan.ts';
import type { Stage } from '../units.ts';
import { arrivals } from './arrivals.ts';
import { Loop } from './loop.ts';
import type { Pacer } from './pacer.ts';

/** Wake-ups nearer than this are taken together: a request may be sent so much early or late. */
const TOGETHER_MS = 0.05;

export class OpenLoop extends Loop {
  readonly #pacer: Pacer;
  readonly #due: Iterator<{ atMs: number; stage: number }>;
  readonly #startMs: number;
  readonly #warmupStages: number;
  readonly #free = new Map<string, Channel[]>();
  readonly #waiting = new Map<string, Queue>();
  /** How late requests were sent although a connection was free: the generator's own fault. */
  readonly lateness = newHistogram();
  #next: { atMs: number; stage: number } | undefined;
  #waitingCount = 0;
  #connections = 0;
  #sentStage = 0;

  constructor(
    plan: LoadPlan,
    recorder: Recorder,
    countFromMs: number,
    endMs: number,
    h2: typeof h2Channels | undefined,
    pacer: Pacer,
  ) {
    super(plan, recorder, countFromMs, endMs, h2);
    this.#pacer = pacer;
    const first = plan.stages[0]!;
    const warmup: Stage[] = plan.warmupMs > 0 ? [{ durationMs: plan.warmupMs, from: first.from, to: first.from }] : [];
    this.#startMs = countFromMs - plan.warmupMs;
    this.#warmupStages = warmup.length;
    this.#due = arrivals([...warmup, ...plan.stages], plan.arrivals, this.draw);
    this.#advance();
  }

  get waiting(): number {
    return this.#waitingCount;
  }

  get level(): number {
    return this.plan.stages[this.#sentStage]?.to ?? 0;
  }

  protected begin(): void {
    this.#schedule();
  }

  protected onTick(nowMs: number): void {
    const expired = nowMs - this.plan.timeoutMs;
    for (const queue of this.#waiting.values()) {
      for (let first = queue.first; first !== undefined && first.intendedMs < expired; first = queue.first) {
        this.#waitingCount--;
        queue.take();
        this.fail(first, 'unsent');
      }
    }
  }

  protected onStop(): void {
    this.#next = undefined;
    this.#waiting.clear();
    this.#waitingCount = 0;
  }

  protected get isExhausted(): boolean {
    return (this.#next === undefined || this.hasReachedLimit) && this.#waitingCount === 0;
  }

  protected override finish(): void {
    this.#pacer.stop();
  }

  protected onDone(channel: Channel): void {
    const queue = this.#waiting.get(channel.origin.href);
    const next = queue?.take();
    if (next !== undefined) {
      this.#waitingCount--;
      this.start(channel, next);
    } else this.#free.get(channel.origin.href)!.push(channel);
  }

  #advance(): void {
    const { value, done } = this.#due.next();
    this.#next = done
      ? undefined
      : { atMs: this.#startMs + value.atMs, stage: Math.max(0, value.stage - this.#warmupStages) };
  }

  #schedule(): void {
    if (this.#next !== undefined && !this.isStopping) this.#pacer.at(this.#next.atMs, () => this.#sendDue());
  }

  #sendDue(): void {
    const now = performance.now() + TOGETHER_MS;
    while (this.#next !== undefined && this.#next.atMs <= now) {
      const { atMs, stage } = this.#next;
      this.#sentStage = stage;
      const exchange = this.nextExchange(atMs, stage);
      if (exchange === undefined) {
        this.#next = undefined;
        break;
      }
      this.#dispatch(exchange);
      this.#advance();
    }
    this.#schedule();
    this.checkEnd();
  }

  #dispatch(exchange: Exchange): void {
    const { origin } = exchange.request;
    let free = this.#free.get(origin.href);
    if (free === undefined) {
      free = [];
      this.#free.set(origin.href, free);
    }
    const channel = free.pop() ?? this.#more(exchange, free);
    if (channel !== undefined) {
      record(this.lateness, Math.max(0, performance.now() - exchange.intendedMs));
      this.start(channel, exchange);
      return;
    }
    let queue = this.#waiting.get(origin.href);
    if (queue === undefined) {
      queue = new Queue();
      this.#waiting.set(origin.href, queue);
    }
    exchange.hasWaited = true;
    queue.push(exchange);
    this.#waitingCount++;
  }

  #more(exchange: Exchange, free: Channel[]): Channel | undefined {
    if (this.#connections >= this.plan.connections) return undefined;
    this.#connections++;
    const [first, ...others] = this.newChannels(exchange.request.origin);
    free.push(...others);
    return first;
  }
}

/** First in, first out; taking costs the same however long it is. */
class Queue {
  #items: Exchange[] = [];
  #from = 0;

  get first(): Exchange | undefined {
    return this.#items[this.#from];
  }

  push(exchange: Exchange): void {
    this.#items.push(exchange);
  }

  take(): Exchange | undefined {
    const taken = this.#items[this.#from];
    if (taken === undefined) return undefined;
    this.#from++;
    if (this.#from > 1024 && this.#from * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#from);
      this.#from = 0;
    }
    return taken;
  }
}
