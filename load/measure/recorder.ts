// What a thread of the generator writes down: distributions, counts, a line for each second, and an even sample of requests
// with their hops. A latency is that of any answer, and of a request that timed out (the time it waited, which is the least it
// would have taken); connections that failed at once have no latency and count as errors.
import type { Exchange } from '../client/exchange.ts';
import type { FailureKind } from '../client/failure.ts';
import type { LoadPlan } from '../plan.ts';
import { encode, type Histogram, newHistogram, record } from './histogram.ts';
import { HOP_NAMES, hopsOf } from './hops.ts';

/** Columns of a sample before those of the hops. */
export const SAMPLE_AT = 0;
export const SAMPLE_LATENCY = 1;
export const SAMPLE_HOPS = 2;
export const SAMPLE_WIDTH = SAMPLE_HOPS + HOP_NAMES.length;
const MOST_SAMPLES = 20_000;

/** Counts that both a second and the whole have. */
export interface Counts {
  requests: number;
  errors: number;
  statuses: Record<string, number>;
  failures: Partial<Record<FailureKind, number>>;
  /** Statuses from 500 on, by who made them: `502 from nginx`. */
  makers: Record<string, number>;
  receivedBytes: number;
  sentBytes: number;
}

/** One second of one thread. */
export interface SecondReport {
  readonly second: number;
  readonly counts: Counts;
  readonly histogram: string;
  /** Sums over the requests, ms, by hop. */
  readonly hopSums: Float64Array;
  readonly hopCount: number;
  /** Requests answered by each worker that gave its name. */
  readonly workers: Record<string, number>;
}

export function newCounts(): Counts {
  return { requests: 0, errors: 0, statuses: {}, failures: {}, makers: {}, receivedBytes: 0, sentBytes: 0 };
}

/** Adds counts to others. */
export function addCounts(to: Counts, from: Counts): void {
  to.requests += from.requests;
  to.errors += from.errors;
  to.receivedBytes += from.receivedBytes;
  to.sentBytes += from.sentBytes;
  for (const key of ['statuses', 'failures', 'makers'] as const) {
    const into = to[key] as Record<string, number>;
    for (const [name, count] of Object.entries(from[key])) into[name] = (into[name] ?? 0) + count;
  }
}

/** A distribution and counts for a part of the requests: a stage, or one kind of the mix. */
export class Part {
  readonly counts: Counts = newCounts();
  readonly latency: Histogram = newHistogram();
}

export class Recorder {
  /** All requests up to the last second that has ended; after finish(), all. */
  readonly all = new Part();
  /** From sending instead of from the intended start: what a closed-loop tool would have reported. */
  readonly service: Histogram = newHistogram();
  readonly stages: Part[];
  readonly kinds: Map<string, Part>;
  warmup = 0;
  /** Counted requests that ended before the planned end. */
  inTime = 0;
  samples = new Float32Array(SAMPLE_WIDTH * 4096);
  sampleCount = 0;
  /** When the last counted request ended, ms of performance.now(). */
  lastEndMs = Number.NaN;
  readonly #plan: LoadPlan;
  readonly #startMs: number;
  readonly #endMs: number;
  readonly #onSecond: (report: SecondReport) => void;
  readonly #hops = new Float32Array(HOP_NAMES.length);
  #seen = 0;
  #second = -1;
  #counts = newCounts();
  #histogram = newHistogram();
  #hopSums = new Float64Array(HOP_NAMES.length);
  #hopCount = 0;
  #workers: Record<string, number> = {};

  /** `startMs` is when counting starts, `endMs` when the plan ends. */
  constructor(plan: LoadPlan, startMs: number, endMs: number, onSecond: (report: SecondReport) => void) {
    this.#plan = plan;
    this.#startMs = startMs;
    this.#endMs = endMs;
    this.#onSecond = onSecond;
    this.stages = plan.stages.map(() => new Part());
    this.kinds = new Map(plan.requests.map(({ name }) => [name, new Part()]));
  }

  /** Takes an exchange that has ended. */
  take(exchange: Exchange): void {
    if (exchange.isWarmup) {
      this.warmup++;
      return;
    }
    this.#turn(exchange.endMs);
    this.lastEndMs = exchange.endMs;
    if (exchange.endMs <= this.#endMs) this.inTime++;
    const { failure, status } = exchange;
    const { expect, name } = exchange.request.plan;
    const isError = failure !== undefined || (expect === undefined ? status >= 400 : !expect.includes(status));
    // Of the only stage, and the only kind, the figures are those of all.
    const stage = this.stages.length > 1 ? this.stages[exchange.stage]! : undefined;
    const kind = this.kinds.size > 1 ? this.kinds.get(name)! : undefined;
    const hasLatency =
      failure === undefined || failure === 'timeout' || failure === 'connect-timeout' || failure === 'unsent';
    const latencyMs = exchange.endMs - exchange.intendedMs;
    count(this.#counts, exchange, isError);
    if (stage !== undefined) count(stage.counts, exchange, isError);
    if (kind !== undefined) count(kind.counts, exchange, isError);
    if (!hasLatency) return;
    record(this.#histogram, latencyMs);
    if (stage !== undefined) record(stage.latency, latencyMs);
    if (kind !== undefined) record(kind.latency, latencyMs);
    if (this.#plan.model === 'open' && !Number.isNaN(exchange.freeMs))
      record(this.service, exchange.endMs - exchange.freeMs);
    if (failure === undefined) this.#sample(exchange, latencyMs);
  }

  /** Requests until now. */
  get requests(): number {
    return this.all.counts.requests + this.#counts.requests;
  }

  /** Errors until now. */
  get errors(): number {
    return this.all.counts.errors + this.#counts.errors;
  }

  /** Ends the second that runs, when its time is over. */
  turn(): void {
    this.#turn(performance.now());
  }

  /** Ends the last second. */
  finish(): void {
    this.#flush();
  }

  #turn(nowMs: number): void {
    const second = Math.floor((nowMs - this.#startMs) / 1000);
    if (second === this.#second) return;
    this.#flush();
    this.#second = second;
  }

  #flush(): void {
    if (this.#second < 0 || (this.#counts.requests === 0 && this.#counts.errors === 0)) return;
    addCounts(this.all.counts, this.#counts);
    this.all.latency.add(this.#histogram);
    this.#onSecond({
      second: this.#second,
      counts: this.#counts,
      histogram: encode(this.#histogram),
      hopSums: this.#hopSums,
      hopCount: this.#hopCount,
      workers: this.#workers,
    });
    this.#counts = newCounts();
    this.#histogram = newHistogram();
    this.#hopSums = new Float64Array(HOP_NAMES.length);
    this.#hopCount = 0;
    this.#workers = {};
  }

  /** Keeps an even sample of all requests (Vitter's algorithm R). */
  #sample(exchange: Exchange, latencyMs: number): void {
    const worker = hopsOf(exchange, this.#hops);
    for (let hop = 0; hop < this.#hops.length; hop++) this.#hopSums[hop]! += this.#hops[hop]!;
    this.#hopCount++;
    if (worker !== '') this.#workers[worker] = (this.#workers[worker] ?? 0) + 1;
    this.#seen++;
    let place = this.sampleCount;
    if (this.sampleCount === MOST_SAMPLES) {
      place = Math.floor(Math.random() * this.#seen);
      if (place >= MOST_SAMPLES) return;
    } else this.sampleCount++;
    const at = place * SAMPLE_WIDTH;
    if (at === this.samples.length) {
      const larger = new Float32Array(this.samples.length * 2);
      larger.set(this.samples);
      this.samples = larger;
    }
    this.samples[at + SAMPLE_AT] = exchange.endMs - this.#startMs;
    this.samples[at + SAMPLE_LATENCY] = latencyMs;
    this.samples.set(this.#hops, at + SAMPLE_HOPS);
  }
}

function count(into: Counts, exchange: Exchange, isError: boolean): void {
  into.requests++;
  into.receivedBytes += exchange.receivedBytes;
  if (!Number.isNaN(exchange.sentMs)) into.sentBytes += exchange.request.bytes.length;
  if (isError) into.errors++;
  const { failure, status } = exchange;
  if (failure !== undefined) {
    into.failures[failure] = (into.failures[failure] ?? 0) + 1;
    return;
  }
  into.statuses[status] = (into.statuses[status] ?? 0) + 1;
  if (status >= 500) {
    const made = `${status} from ${exchange.madeBy}`;
    into.makers[made] = (into.makers[made] ?? 0) + 1;
  }
}
