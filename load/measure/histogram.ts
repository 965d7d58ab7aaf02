// Latencies as HdrHistograms: microseconds, three significant digits, up to an hour; in results as the compressed base64 that
// other HdrHistogram tools read. The only file that knows the library.
import * as hdr from 'hdr-histogram-js';

export type Histogram = hdr.Histogram;

const MICROS = 1000;
const OPTIONS = {
  bitBucketSize: 64,
  autoResize: true,
  lowestDiscernibleValue: 1,
  highestTrackableValue: 2_000_000,
  numberOfSignificantValueDigits: 3,
  useWebAssembly: false,
} as const;
const MOST_MICROS = 3_600_000_000;

export function newHistogram(): Histogram {
  return hdr.build(OPTIONS);
}

/** Records a duration in ms. */
export function record(histogram: Histogram, ms: number): void {
  const micros = ms * MICROS;
  histogram.recordValue(micros > MOST_MICROS ? MOST_MICROS : micros < 1 ? 1 : Math.round(micros));
}

export function encode(histogram: Histogram): string {
  return hdr.encodeIntoCompressedBase64(histogram);
}

export function decode(text: string): Histogram {
  return hdr.decodeFromCompressedBase64(text, 64, false);
}

/** Adds an encoded histogram to another. */
export function addEncoded(to: Histogram, text: string): void {
  to.add(decode(text));
}

/** A percentile (0 to 100) in ms; NaN when nothing was recorded. */
export function percentile(histogram: Histogram, percent: number): number {
  return histogram.totalCount === 0 ? Number.NaN : histogram.getValueAtPercentile(percent) / MICROS;
}

/** What a result says of a distribution; times in ms. */
export interface Distribution {
  readonly count: number;
  readonly min: number;
  readonly mean: number;
  readonly stdev: number;
  readonly max: number;
  readonly p50: number;
  readonly p75: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
  readonly p9999: number;
  /** The whole histogram, in microseconds (HdrHistogram V2, compressed, base64). */
  readonly histogram: string;
}

/** Sums a histogram up; undefined when it is empty. */
export function distributionOf(histogram: Histogram): Distribution | undefined {
  if (histogram.totalCount === 0) return undefined;
  const at = (percent: number): number => percentile(histogram, percent);
  return {
    count: histogram.totalCount,
    min: histogram.minNonZeroValue / MICROS,
    mean: histogram.mean / MICROS,
    stdev: histogram.stdDeviation / MICROS,
    max: histogram.maxValue / MICROS,
    p50: at(50),
    p75: at(75),
    p90: at(90),
    p95: at(95),
    p99: at(99),
    p999: at(99.9),
    p9999: at(99.99),
    histogram: encode(histogram),
  };
}

/** The distribution as points (share of requests at or below, ms), for pictures and the percentile table. */
export function percentilePoints(histogram: Histogram): Array<{ percent: number; ms: number }> {
  const percents = [0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.9, 99.95, 99.99, 99.999, 100];
  // Beyond 1 - 1/count there is nothing to tell from the maximum.
  const last = 100 * (1 - 1 / Math.max(1, histogram.totalCount));
  return percents
    .filter((percent) => percent <= last || percent === 100)
    .map((percent) => ({ percent, ms: percentile(histogram, percent) }));
}
