// The seconds of a run, added up over the threads that report them.
import { addEncoded, type Histogram, newHistogram, percentile } from './histogram.ts';
import { HOP_NAMES } from './hops.ts';
import { addCounts, type Counts, newCounts, type SecondReport } from './recorder.ts';
import type { Lanes, SecondResult } from './result.ts';

interface Second {
  readonly counts: Counts;
  readonly histogram: Histogram;
  readonly hopSums: Float64Array;
  hopCount: number;
  readonly workers: Map<string, number>;
}

export class Timeline {
  readonly #seconds: Second[] = [];

  take(report: SecondReport): void {
    while (this.#seconds.length <= report.second) {
      this.#seconds.push({
        counts: newCounts(),
        histogram: newHistogram(),
        hopSums: new Float64Array(HOP_NAMES.length),
        hopCount: 0,
        workers: new Map(),
      });
    }
    const second = this.#seconds[report.second]!;
    addCounts(second.counts, report.counts);
    addEncoded(second.histogram, report.histogram);
    for (let hop = 0; hop < HOP_NAMES.length; hop++) second.hopSums[hop]! += report.hopSums[hop]!;
    second.hopCount += report.hopCount;
    for (const [name, count] of Object.entries(report.workers))
      second.workers.set(name, (second.workers.get(name) ?? 0) + count);
  }

  seconds(): SecondResult[] {
    return this.#seconds.map((second, index) => summary(second, index));
  }

  /** The last second that is complete. */
  get last(): SecondResult | undefined {
    const index = this.#seconds.length - 1;
    return index < 0 ? undefined : summary(this.#seconds[index]!, index);
  }

  /** Requests by worker and second; undefined when no answer names its worker. */
  lanes(): Lanes | undefined {
    const names = [...new Set(this.#seconds.flatMap(({ workers }) => [...workers.keys()]))].sort();
    if (names.length === 0) return undefined;
    return {
      source: 'worker',
      unit: 'requests/s',
      names,
      values: names.map((name) => this.#seconds.map(({ workers }) => workers.get(name) ?? 0)),
    };
  }
}

function summary({ counts, histogram, hopSums, hopCount }: Second, second: number): SecondResult {
  const at = (percent: number): number => (histogram.totalCount === 0 ? 0 : percentile(histogram, percent));
  const hops: Record<string, number> = {};
  for (const [index, name] of HOP_NAMES.entries()) if (hopSums[index]! > 0) hops[name] = hopSums[index]! / hopCount;
  return {
    second,
    requests: counts.requests,
    errors: counts.errors,
    failures: { ...counts.failures, ...counts.makers },
    p50: at(50),
    p95: at(95),
    p99: at(99),
    max: at(100),
    hops,
  };
}
