// Runs a plan: starts its threads, lets them begin at the same instant, adds up what they report, and gives the result. The
// one who calls sees the progress, and may stop it.
import { Worker } from 'node:worker_threads';
import { bottleneckOf } from '../measure/bottleneck.ts';
import { addEncoded, type Distribution, distributionOf, newHistogram, percentile } from '../measure/histogram.ts';
import { hopTable } from '../measure/hop-table.ts';
import { addCounts, type Counts, newCounts } from '../measure/recorder.ts';
import type { LoadResult } from '../measure/result.ts';
import { Timeline } from '../measure/timeline.ts';
import { type LoadPlan, measuredMs, shareOf } from '../plan.ts';
import { generatorWarnings } from './generator-warnings.ts';
import type { FromThread, Gauges, PartData, ThreadResult, ThreadTask, ToThread } from './messages.ts';

/** From the threads' readiness to the first request. */
const START_MS = 20;

/** What the one who started a run may see while it goes on. */
export interface Progress {
  /** From the start of the warm-up, ms; negative before it. */
  readonly elapsedMs: number;
  readonly requests: number;
  readonly errors: number;
  readonly inFlight: number;
  readonly waiting: number;
  readonly level: number;
  readonly cpuShares: readonly number[];
  readonly lagMs: number;
  readonly timeline: Timeline;
}

export interface RunOptions {
  readonly onProgress?: (progress: Progress) => void;
  /** Stops the run; what was measured until then is the result. */
  readonly signal?: AbortSignal;
  readonly topology?: Record<string, string | number | boolean>;
}

/** Runs the plan. Rejects when a thread breaks. */
export async function runLoad(plan: LoadPlan, options: RunOptions = {}): Promise<LoadResult> {
  const run = new Run(plan, options);
  return await run.result();
}

class Run {
  readonly #plan: LoadPlan;
  readonly #options: RunOptions;
  readonly #threads: Worker[] = [];
  readonly #timeline = new Timeline();
  readonly #gauges: Gauges[] = [];
  readonly #results: ThreadResult[] = [];
  #worstLagMs = 0;
  #startEpochMs = 0;
  #isInterrupted = false;

  constructor(plan: LoadPlan, options: RunOptions) {
    this.#plan = plan;
    this.#options = options;
  }

  async result(): Promise<LoadResult> {
    const { signal } = this.#options;
    const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
    const stop = (): void => {
      this.#isInterrupted = true;
      for (const thread of this.#threads) thread.postMessage({ kind: 'stop', isAtOnce: true } satisfies ToThread);
    };
    const ends: Array<Promise<void>> = [];
    const ready: Array<Promise<void>> = [];
    for (let index = 0; index < this.#plan.threads; index++) {
      const task: ThreadTask = { plan: shareOf(this.#plan, index) };
      const thread = new Worker(new URL(`./thread${extension}`, import.meta.url), { workerData: task });
      this.#threads.push(thread);
      const isReady = Promise.withResolvers<void>();
      ready.push(isReady.promise);
      ends.push(this.#follow(thread, index, isReady.resolve));
    }
    const ended = Promise.all(ends);
    await Promise.race([Promise.all(ready), ended]);
    // The clock of performance.now(), which threads share and nothing sets.
    this.#startEpochMs = performance.timeOrigin + performance.now() + START_MS;
    for (const thread of this.#threads)
      thread.postMessage({ kind: 'start', atEpochMs: this.#startEpochMs } satisfies ToThread);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop);
    try {
      await ended;
    } catch (error) {
      await Promise.all(this.#threads.map((thread) => thread.terminate()));
      throw error;
    } finally {
      signal?.removeEventListener('abort', stop);
    }
    return this.#assemble();
  }

  #follow(thread: Worker, index: number, onReady: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      thread.on('error', reject);
      thread.on('exit', () =>
        this.#results[index] === undefined ? reject(new Error('a thread of the generator ended early')) : resolve(),
      );
      thread.on('message', (message: FromThread) => {
        if (message.kind === 'ready') onReady();
        else if (message.kind === 'second') this.#timeline.take(message.report);
        else if (message.kind === 'done') this.#results[index] = message.result;
        else {
          this.#gauges[index] = message.gauges;
          this.#worstLagMs = Math.max(this.#worstLagMs, message.gauges.lagMs);
          if (index === 0) this.#report();
        }
      });
    });
  }

  #report(): void {
    const sum = (key: keyof Gauges): number => this.#gauges.reduce((total, gauges) => total + (gauges?.[key] ?? 0), 0);
    this.#options.onProgress?.({
      elapsedMs: performance.timeOrigin + performance.now() - this.#startEpochMs,
      requests: sum('requests'),
      errors: sum('errors'),
      inFlight: sum('inFlight'),
      waiting: sum('waiting'),
      level: sum('level'),
      cpuShares: this.#gauges.map(({ cpuShare }) => cpuShare),
      lagMs: Math.max(...this.#gauges.map(({ lagMs }) => lagMs)),
      timeline: this.#timeline,
    });
  }

  #assemble(): LoadResult {
    const plan = this.#plan;
    const results = this.#results;
    const all = merge(results);
    const plannedMs = measuredMs(plan);
    const longestMs = Math.max(0, ...results.map(({ elapsedMs }) => elapsedMs).filter(Number.isFinite));
    const isCut = this.#isInterrupted || plan.requestLimit !== undefined;
    const elapsedMs = isCut ? longestMs : Math.max(plannedMs, longestMs);
    // A rate is of what ended in the planned time: what ended while the last ones were waited for would flatter or blame it.
    const inTime = results.reduce((sum, result) => sum + result.inTime, 0);
    const perSecond = isCut ? all.counts.requests / (longestMs / 1000) : inTime / (plannedMs / 1000);
    const service = newHistogram();
    const lateness = newHistogram();
    for (const result of results) {
      addEncoded(service, result.service);
      if (result.lateness !== undefined) addEncoded(lateness, result.lateness);
    }
    const hops = hopTable(results.map(({ samples }) => samples));
    const generator = {
      cpuShares: results.map(({ cpuShare }) => cpuShare),
      lagMs: this.#worstLagMs,
      latenessMs: lateness.totalCount === 0 ? 0 : percentile(lateness, 99),
    };
    const { counts } = all;
    const result = {
      format: 'portico-load/1' as const,
      name: plan.name,
      startedAt: new Date(this.#startEpochMs).toISOString(),
      targets: [...new Set(plan.requests.map(({ url }) => url))],
      settings: {
        model: plan.model,
        arrivals: plan.arrivals,
        stages: plan.stages,
        connections: plan.connections,
        streams: plan.streams,
        protocol: plan.protocol,
        isKeepalive: plan.isKeepalive,
        timeoutMs: plan.timeoutMs,
        warmupMs: plan.warmupMs,
        threads: plan.threads,
        topology: this.#options.topology ?? {},
      },
      isInterrupted: this.#isInterrupted,
      elapsedMs,
      requests: counts.requests,
      errors: counts.errors,
      errorShare: counts.requests === 0 ? 0 : counts.errors / counts.requests,
      warmupRequests: results.reduce((sum, { warmup }) => sum + warmup, 0),
      requestsPerSecond: Number.isFinite(perSecond) ? perSecond : 0,
      statuses: counts.statuses,
      failures: counts.failures,
      makers: counts.makers,
      receivedBytes: counts.receivedBytes,
      sentBytes: counts.sentBytes,
      latency: all.latency,
      service: plan.model === 'open' ? distributionOf(service) : undefined,
      kinds: plan.requests.length > 1 ? this.#kinds(elapsedMs) : [],
      stages: plan.stages.length > 1 ? this.#stages() : [],
      timeline: this.#timeline.seconds(),
      hops,
      accessLog: undefined,
      bottleneck: '',
      lanes: this.#timeline.lanes(),
      generator: { ...generator, warnings: [] },
      thresholds: [],
    } satisfies LoadResult;
    const warned = { ...result, generator: { ...generator, warnings: generatorWarnings(plan, result) } };
    return { ...warned, bottleneck: bottleneckOf(warned, hops) };
  }

  #kinds(elapsedMs: number): LoadResult['kinds'] {
    return this.#plan.requests.map(({ name }) => {
      const parts = this.#results.map(({ kinds }) => new Map(kinds).get(name)!);
      const { counts, latency } = merge(parts);
      const { requests, errors } = counts;
      return { name, requests, errors, requestsPerSecond: requests / (elapsedMs / 1000), latency };
    });
  }

  #stages(): LoadResult['stages'] {
    return this.#plan.stages.map((stage, index) => {
      const { counts, latency } = merge(this.#results.map(({ stages }) => stages[index]!));
      const { requests, errors } = counts;
      const name = stage.from === stage.to ? String(stage.from) : `${stage.from}-${stage.to}`;
      return { name, stage, requests, errors, requestsPerSecond: requests / (stage.durationMs / 1000), latency };
    });
  }
}

function merge(parts: readonly PartData[]): { counts: Counts; latency: Distribution | undefined } {
  const counts = newCounts();
  const histogram = newHistogram();
  for (const part of parts) {
    addCounts(counts, part.counts);
    addEncoded(histogram, part.histogram);
  }
  return { counts, latency: distributionOf(histogram) };
}
