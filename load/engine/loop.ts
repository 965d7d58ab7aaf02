// The load loop of one thread. Closed: so many users, each with a connection, each sending when its last answer is there. Open:
// requests are sent when they are due on whatever connection is free, a new one up to the limit, or else they wait, and the
// wait counts. Both give every ended exchange to the recorder, and end when nothing is on its way any more.
import { Connector } from '../client/connect.ts';
import { type Channel, Exchange, type Origin } from '../client/exchange.ts';
import type { FailureKind } from '../client/failure.ts';
import type { h2Channels } from '../client/h2-channel.ts';
import { Http1Channel } from '../client/http1-channel.ts';
import { type EncodedRequest, encodeRequest } from '../client/request.ts';
import type { Recorder } from '../measure/recorder.ts';
import type { LoadPlan } from '../plan.ts';
import { type Draw, drawFrom, mixOf } from './draws.ts';

const READ_BUFFER_BYTES = 256 * 1024;
const SWEEP_MS = 25;

/** What both models share: the channels, the mix, the timeouts, the end. */
export abstract class Loop {
  readonly plan: LoadPlan;
  readonly recorder: Recorder;
  /** When counting starts and ends, ms of performance.now(). */
  readonly countFromMs: number;
  readonly endMs: number;
  readonly draw: Draw;
  protected readonly requests: readonly EncodedRequest[];
  protected isStopping = false;
  protected running = 0;
  /** Makes the channels of HTTP/2; undefined in a run of HTTP/1.1, which does not load undici. */
  readonly #h2: typeof h2Channels | undefined;
  readonly #connector: Connector;
  readonly #mix: () => number;
  readonly #channels: Channel[] = [];
  readonly #buffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
  readonly #ended = Promise.withResolvers<void>();
  #sweep: NodeJS.Timeout | undefined;
  #left: number;
  #isDropping = false;

  constructor(
    plan: LoadPlan,
    recorder: Recorder,
    countFromMs: number,
    endMs: number,
    h2: typeof h2Channels | undefined,
  ) {
    this.plan = plan;
    this.#h2 = h2;
    this.recorder = recorder;
    this.countFromMs = countFromMs;
    this.endMs = endMs;
    this.draw = drawFrom(plan.seed);
    this.requests = plan.requests.map((request) => encodeRequest(request, plan.isKeepalive));
    this.#mix = mixOf(plan.requests, plan.order, this.draw);
    this.#connector = new Connector(plan);
    this.#left = plan.requestLimit ?? Number.POSITIVE_INFINITY;
  }

  /** Runs the load; resolves when the last exchange has ended. */
  async run(): Promise<void> {
    this.#sweep = setInterval(() => this.#onSweep(), SWEEP_MS);
    this.begin();
    this.checkEnd();
    await this.#ended.promise;
    clearInterval(this.#sweep);
    this.finish();
    for (const channel of this.#channels) channel.close();
  }

  /** Sends nothing more; `isAtOnce` also gives up what is on its way, uncounted. */
  stop(isAtOnce: boolean): void {
    this.isStopping = true;
    this.onStop();
    if (isAtOnce) {
      this.#isDropping = true;
      for (const channel of this.#channels) if (channel.current !== undefined) channel.abort('unsent');
    }
    this.checkEnd();
  }

  get inFlight(): number {
    return this.running;
  }

  /** Requests that are due and not sent. */
  abstract get waiting(): number;
  abstract get level(): number;
  protected abstract begin(): void;
  protected abstract onTick(nowMs: number): void;
  protected abstract onStop(): void;
  protected abstract onDone(channel: Channel, exchange: Exchange): void;
  protected abstract get isExhausted(): boolean;
  protected finish(): void {}

  /** The next exchange, due at `intendedMs`; undefined when the limit of requests is reached. */
  protected nextExchange(intendedMs: number, stage: number): Exchange | undefined {
    const isWarmup = intendedMs < this.countFromMs;
    if (!isWarmup) {
      if (this.#left <= 0) return undefined;
      this.#left--;
    }
    return new Exchange(this.requests[this.#mix()]!, intendedMs, isWarmup, stage);
  }

  protected get hasReachedLimit(): boolean {
    return this.#left <= 0;
  }

  /** Opens a place for requests: for HTTP/2 a connection gives several. */
  protected newChannels(origin: Origin): Channel[] {
    const onDone = (channel: Channel, exchange: Exchange): void => this.#onDone(channel, exchange);
    const made =
      this.#h2 !== undefined
        ? this.#h2(origin, this.#connector, this.plan.streams, onDone)
        : [new Http1Channel(origin, this.#connector, this.plan, this.#buffer, onDone)];
    this.#channels.push(...made);
    return made;
  }

  protected start(channel: Channel, exchange: Exchange): void {
    this.running++;
    channel.start(exchange);
  }

  /** Ends an exchange that was never given to a channel. */
  protected fail(exchange: Exchange, kind: FailureKind): void {
    exchange.failure = kind;
    exchange.endMs = performance.now();
    this.recorder.take(exchange);
  }

  protected checkEnd(): void {
    if (this.running === 0 && (this.isStopping || this.isExhausted)) this.#ended.resolve();
  }

  #onDone(channel: Channel, exchange: Exchange): void {
    this.running--;
    if (!this.#isDropping) this.recorder.take(exchange);
    this.onDone(channel, exchange);
    if (this.running === 0) this.checkEnd();
  }

  #onSweep(): void {
    const now = performance.now();
    const expired = now - this.plan.timeoutMs;
    for (const channel of this.#channels) {
      if (channel.current !== undefined && channel.current.intendedMs < expired) channel.abort('timeout');
    }
    this.onTick(now);
    this.recorder.turn();
    this.checkEnd();
  }
}
