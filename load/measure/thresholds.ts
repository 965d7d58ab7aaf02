// `--fail-if 'p99>200ms'` and `--slo 'p99<250ms,errors<0.1%'`: a measure, a comparison, a bound. The same measures for both;
// a run fails when a --fail-if holds, a configuration is good when all of its --slo hold.
import { parseDuration, parseRate } from '../units.ts';
import type { LoadResult, ThresholdResult } from './result.ts';

type Measure = (result: LoadResult) => number;

const LATENCY = ['min', 'mean', 'max', 'p50', 'p75', 'p90', 'p95', 'p99'] as const;

/** Measures by name, with the unit that their bounds are read in. */
const MEASURES: Record<string, { unit: 'time' | 'share' | 'rate' | 'count'; of: Measure }> = {
  ...Object.fromEntries(
    LATENCY.map((name) => [
      name,
      { unit: 'time' as const, of: (result: LoadResult) => result.latency?.[name] ?? Number.NaN },
    ]),
  ),
  'p99.9': { unit: 'time', of: ({ latency }) => latency?.p999 ?? Number.NaN },
  'p99.99': { unit: 'time', of: ({ latency }) => latency?.p9999 ?? Number.NaN },
  errors: { unit: 'share', of: ({ errorShare }) => errorShare },
  rps: { unit: 'rate', of: ({ requestsPerSecond }) => requestsPerSecond },
  requests: { unit: 'count', of: ({ requests }) => requests },
};

export interface Threshold {
  readonly text: string;
  /** Whether the comparison holds; a measure that there is none of (no answer at all) never does. */
  holds(result: LoadResult): boolean;
  valueOf(result: LoadResult): number;
}

/** Reads one comparison. Throws RangeError. */
export function parseThreshold(text: string): Threshold {
  const match = /^\s*([a-z0-9.]+)\s*(<=|>=|<|>)\s*(\S+)\s*$/.exec(text);
  const measure = match === null ? undefined : MEASURES[match[1]!];
  if (match === null || measure === undefined) {
    throw new RangeError(
      `"${text}" is no threshold; write p99>200ms, errors>0.1% or rps<300 (measures: ${Object.keys(MEASURES).join(', ')})`,
    );
  }
  const bound = readBound(match[3]!, measure.unit);
  const sign = match[2]!;
  return {
    text: text.trim(),
    valueOf: measure.of,
    holds: (result) => {
      const value = measure.of(result);
      return sign === '<'
        ? value < bound
        : sign === '>'
          ? value > bound
          : sign === '<='
            ? value <= bound
            : value >= bound;
    },
  };
}

/** The outcome of --fail-if comparisons: met means that the run need not fail for it. */
export function checkFailures(thresholds: readonly Threshold[], result: LoadResult): ThresholdResult[] {
  return thresholds.map((threshold) => ({
    text: threshold.text,
    value: threshold.valueOf(result),
    // No answer at all is no pass: p99>200ms says nothing about a run in which everything was refused.
    isMet: !threshold.holds(result) && !Number.isNaN(threshold.valueOf(result)),
  }));
}

function readBound(text: string, unit: 'time' | 'share' | 'rate' | 'count'): number {
  if (unit === 'time') {
    if (/^[\d.]+$/.test(text)) throw new RangeError(`"${text}" needs a unit: ${text}ms or ${text}s`);
    return parseDuration(text);
  }
  if (unit === 'rate') return parseRate(text);
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text);
  if (match === null)
    throw new RangeError(`"${text}" is no ${unit === 'share' ? 'share; write 0.1% or 0.001' : 'number'}`);
  if (unit === 'share' && match[2] === '' && Number(match[1]) > 1)
    throw new RangeError(`"${text}" is more than all; errors are a share: write ${text}% or 0.001`);
  return match[2] === '%' ? Number(match[1]) / 100 : Number(match[1]);
}
