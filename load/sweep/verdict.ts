// From finished runs to a table (the median of each cell's runs) and a verdict: the cheapest topology that is good enough for
// every path and level that was asked for.
import type { LoadResult } from '../measure/result.ts';
import type { Threshold } from '../measure/thresholds.ts';
import { showNumber } from '../units.ts';
import { type Cell, type FinishedRun, keyOf } from './result-file.ts';
import { AXES, AXIS_NAMES, costOf, type Topology } from './topology.ts';

/** An open loop that serves less than this of what is due, in the time in which it is due, has not held the rate. */
const HELD_SHARE = 0.95;

export interface SweepRow {
  readonly cell: Cell;
  readonly runs: number;
  readonly requestsPerSecond: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly errorShare: number;
  readonly residentBytes: number;
  /** Undefined when no --slo was given. */
  readonly isGood: boolean | undefined;
  /** The run whose p99 is the median: for the report. */
  readonly result: LoadResult;
}

/** The table, in the order of `cells`; cells without a finished run are left out. */
export function sweepRows(cells: readonly Cell[], runs: readonly FinishedRun[], slo: readonly Threshold[]): SweepRow[] {
  return cells.flatMap((cell): SweepRow[] => {
    const key = keyOf(cell);
    const mine = runs.filter((run) => keyOf(run.cell) === key);
    if (mine.length === 0) return [];
    const of = (pick: (run: FinishedRun) => number): number => median(mine.map(pick));
    const holds = slo.every(
      (threshold) => mine.filter(({ result }) => threshold.holds(result)).length * 2 > mine.length,
    );
    const requestsPerSecond = of(({ result }) => result.requestsPerSecond);
    const isHeld = cell.level.model === 'closed' || requestsPerSecond >= cell.level.level * HELD_SHARE;
    const byP99 = mine.toSorted((a, b) => (a.result.latency?.p99 ?? 0) - (b.result.latency?.p99 ?? 0));
    return [
      {
        cell,
        runs: mine.length,
        requestsPerSecond,
        p50: of(({ result }) => result.latency?.p50 ?? Number.NaN),
        p95: of(({ result }) => result.latency?.p95 ?? Number.NaN),
        p99: of(({ result }) => result.latency?.p99 ?? Number.NaN),
        errorShare: of(({ result }) => result.errorShare),
        residentBytes: of((run) => run.residentBytes),
        isGood: slo.length === 0 ? undefined : holds && isHeld,
        result: byP99[Math.floor((byP99.length - 1) / 2)]!.result,
      },
    ];
  });
}

export interface Verdict {
  readonly best: Topology | undefined;
  readonly text: string;
}

/**
 * The verdict; undefined when no --slo was given, and of an unfinished sweep: runs that are missing could change it either
 * way.
 */
export function verdictOf(
  rows: readonly SweepRow[],
  slo: readonly Threshold[],
  isFinished: boolean,
): Verdict | undefined {
  if (slo.length === 0 || !isFinished) return undefined;
  const bar = slo.map(({ text }) => text).join(', ');
  const groups = Map.groupBy(rows, ({ cell }) => JSON.stringify(cell.topology));
  const good = [...groups.values()].filter((group) => group.every(({ isGood }) => isGood === true));
  if (good.length === 0) return { best: undefined, text: `No topology of this grid meets ${bar}.` };
  const [cheapest] = good.toSorted((a, b) => {
    const [one, other] = [costOf(a[0]!.cell.topology), costOf(b[0]!.cell.topology)];
    return one.processes - other.processes || one.threads - other.threads || a[0]!.residentBytes - b[0]!.residentBytes;
  });
  const best = cheapest![0]!.cell.topology;
  const { processes, threads } = costOf(best);
  const memory = showNumber(Math.round(cheapest![0]!.residentBytes / 1024 ** 2));
  return {
    best,
    text: `The cheapest topology that meets ${bar}: ${describe(best, rows)} (${processes} worker ${processes === 1 ? 'process' : 'processes'}, ${threads} ${threads === 1 ? 'thread' : 'threads'}, ${memory} MB here). ${good.length} of ${groups.size} meet it.`,
  };
}

/** A topology by what differs in the grid: `gthread, workers 2, threads 4`. */
export function describe(topology: Topology, rows: readonly SweepRow[]): string {
  const varied = AXIS_NAMES.filter(
    (axis) =>
      axis === 'class' ||
      new Set(rows.map(({ cell }) => cell.topology[axis])).size > 1 ||
      topology[axis] !== AXES[axis].usual,
  );
  return varied.map((axis) => (axis === 'class' ? topology.class : `${axis} ${topology[axis]}`)).join(', ');
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
}
