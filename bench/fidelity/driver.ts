// The load of `npm run fidelity`: a process of its own that lives through the whole grid, so that every cell of every series
// is asked by the same warm code. The loop and the wire are those of `portico load`; what is written down is each request's
// latency and the time of its end, so that a rate of a few requests is not rounded to whole ones.

import type { Exchange } from '../../load/client/exchange.ts';
import { ClosedLoop } from '../../load/engine/closed-loop.ts';
import { Recorder } from '../../load/measure/recorder.ts';
import type { LoadPlan } from '../../load/plan.ts';

/** Of one run. Times in ms. */
export interface Drive {
  readonly requestsPerSecond: number;
  readonly p50: number;
  readonly p95: number;
  readonly requests: number;
  /** Failed, or answered with another status than 200. */
  readonly errors: number;
}

/** Notes ends and latencies beside what a recorder keeps. */
class Notes extends Recorder {
  readonly latencies: number[] = [];
  readonly ends: number[] = [];
  failed = 0;

  override take(exchange: Exchange): void {
    super.take(exchange);
    if (exchange.isWarmup) return;
    if (exchange.failure !== undefined || exchange.status !== 200) {
      this.failed++;
      return;
    }
    this.latencies.push(exchange.endMs - exchange.intendedMs);
    this.ends.push(exchange.endMs);
  }
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

async function drive(plan: LoadPlan): Promise<Drive> {
  const { durationMs } = plan.stages[0]!;
  const from = performance.now();
  const until = from + durationMs;
  const notes = new Notes(plan, from, until, () => {});
  await new ClosedLoop(plan, notes, from, until, undefined).run();
  // A rate up to the last end within the time: a request that straddles its edge is neither counted nor its time.
  const inTime = notes.ends.filter((end) => end <= until);
  const span = (inTime.at(-1) ?? Number.NaN) - from;
  const sorted = notes.latencies.toSorted((a, b) => a - b);
  return {
    requestsPerSecond: inTime.length === 0 ? 0 : (inTime.length / span) * 1000,
    p50: percentile(sorted, 0.5),
    p95: percentile(sorted, 0.95),
    requests: sorted.length + notes.failed,
    errors: notes.failed,
  };
}

process.on('message', async (plan: LoadPlan) => {
  process.send?.(await drive(plan));
});
process.on('disconnect', () => process.exit(0));
