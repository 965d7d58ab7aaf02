// The table of hops: how long each takes at the median and at the 99th percentile, for all requests and for the slowest 1%, and
// which share of the time it is. Made of the samples of the threads.
import { HOP_NAMES, HOPS, type Hop } from './hops.ts';
import { SAMPLE_HOPS, SAMPLE_LATENCY, SAMPLE_WIDTH } from './recorder.ts';

export interface HopFigures {
  readonly p50: number;
  readonly p99: number;
  readonly mean: number;
  /** Of the time of all these requests. */
  readonly share: number;
}

export interface HopRow {
  readonly hop: string;
  readonly meaning: string;
  readonly all: HopFigures;
  readonly slowest: HopFigures;
}

export interface HopTable {
  /** Requests that the figures are of. */
  readonly count: number;
  readonly slowestCount: number;
  readonly slowestFromMs: number;
  readonly rows: readonly HopRow[];
}

const SLOWEST_SHARE = 0.01;

/** The table; undefined when there are no samples. Hops that never took time are left out. */
export function hopTable(samples: readonly Float32Array[]): HopTable | undefined {
  const rows: Float32Array[] = [];
  for (const block of samples) {
    for (let at = 0; at < block.length; at += SAMPLE_WIDTH) rows.push(block.subarray(at, at + SAMPLE_WIDTH));
  }
  return tableOf(
    rows.map((row) => ({ total: row[SAMPLE_LATENCY]!, parts: row.subarray(SAMPLE_HOPS) })),
    HOP_NAMES.map((hop) => ({ name: hop, meaning: HOPS[hop as Hop] })),
  );
}

/** A table over any requests whose time is known in parts. */
export function tableOf(
  requests: ReadonlyArray<{ readonly total: number; readonly parts: ArrayLike<number> }>,
  columns: ReadonlyArray<{ name: string; meaning: string }>,
): HopTable | undefined {
  if (requests.length === 0) return undefined;
  const sorted = requests.toSorted((a, b) => a.total - b.total);
  const slowest = sorted.slice(-Math.max(1, Math.round(sorted.length * SLOWEST_SHARE)));
  const rows = columns.flatMap(({ name, meaning }, column): HopRow[] => {
    const all = figures(sorted, column);
    return all.share === 0 ? [] : [{ hop: name, meaning, all, slowest: figures(slowest, column) }];
  });
  return { count: sorted.length, slowestCount: slowest.length, slowestFromMs: slowest[0]!.total, rows };
}

/** One pass over what may be a hundred thousand requests, and a sort only where there is something to sort. */
function figures(requests: ReadonlyArray<{ total: number; parts: ArrayLike<number> }>, column: number): HopFigures {
  const values = new Float32Array(requests.length);
  let sum = 0;
  let all = 0;
  for (let index = 0; index < values.length; index++) {
    const { total, parts } = requests[index]!;
    values[index] = parts[column]!;
    sum += parts[column]!;
    all += total;
  }
  if (sum === 0) return { p50: 0, p99: 0, mean: 0, share: 0 };
  values.sort();
  const at = (share: number): number => values[Math.min(values.length - 1, Math.floor(values.length * share))]!;
  const micros = (ms: number): number => Math.round(ms * 1000) / 1000;
  return {
    p50: micros(at(0.5)),
    p99: micros(at(0.99)),
    mean: micros(sum / values.length),
    share: all === 0 ? 0 : sum / all,
  };
}
