// From runs to figures: the median of each cell in each series, by how much ours and the control differ from the real stack,
// and whether ours differs by no more than the control and what is allowed on top.

import type { Drive } from './driver.ts';
import { type Cell, keyOf } from './grid.ts';
import { SERIES, type Series } from './stacks.ts';

/** One run of one cell in one series. */
export interface Run extends Drive {
  readonly cell: Cell;
  readonly series: Series;
  readonly repeat: number;
}

export const MEASURES = ['requestsPerSecond', 'p50', 'p95'] as const;
export type Measure = (typeof MEASURES)[number];

/** What ours may differ more than the control: in the median cell, and at the 95th percentile of cells. Shares. */
export const ALLOWED: Readonly<Record<Measure, readonly [median: number, high: number]>> = {
  requestsPerSecond: [0.05, 0.15],
  p50: [0.1, 0.2],
  p95: [0.1, 0.2],
};

/** A measure of a cell: medians by series, and (highest − lowest) / median by series. */
export interface Figure {
  readonly medians: Readonly<Record<Series, number>>;
  readonly spreads: Readonly<Record<Series, number>>;
  /** |again − real| / real, |ours − real| / real. */
  readonly control: number;
  readonly ours: number;
}

export interface CellFigures {
  readonly cell: Cell;
  readonly repeats: number;
  readonly errors: Readonly<Record<Series, number>>;
  readonly figures: Readonly<Record<Measure, Figure>>;
}

/** Of sorted or unsorted values; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const [low, high] = [sorted[Math.floor(at)] ?? Number.NaN, sorted[Math.ceil(at)] ?? Number.NaN];
  return low + (high - low) * (at - Math.floor(at));
}

/** The figures of all cells that every series has at least one run of, in the order of their first runs. */
export function cellFigures(runs: readonly Run[]): CellFigures[] {
  const groups = Map.groupBy(runs, ({ cell }) => keyOf(cell));
  return [...groups.values()].flatMap((group): CellFigures[] => {
    const by = Map.groupBy(group, ({ series }) => series);
    if (SERIES.some((series) => !by.has(series))) return [];
    const each = <T>(pick: (mine: readonly Run[]) => T): Record<Series, T> =>
      Object.fromEntries(SERIES.map((series) => [series, pick(by.get(series)!)])) as Record<Series, T>;
    const figure = (measure: Measure): Figure => {
      const values = each((mine) => mine.map((run) => run[measure]));
      const medians = each((mine) =>
        quantile(
          mine.map((run) => run[measure]),
          0.5,
        ),
      );
      const spread = (series: Series): number =>
        (Math.max(...values[series]) - Math.min(...values[series])) / medians[series];
      const off = (series: Series): number => Math.abs(medians[series] / medians.real - 1);
      return {
        medians,
        spreads: { real: spread('real'), again: spread('again'), ours: spread('ours') },
        control: off('again'),
        ours: off('ours'),
      };
    };
    return [
      {
        cell: group[0]!.cell,
        repeats: Math.min(...SERIES.map((series) => by.get(series)!.length)),
        errors: each((mine) => mine.reduce((sum, { errors }) => sum + errors, 0)),
        figures: Object.fromEntries(MEASURES.map((measure) => [measure, figure(measure)])) as Record<Measure, Figure>,
      },
    ];
  });
}

/** One line of the verdict: over all cells, at the median cell or the 95th percentile. */
export interface Judgement {
  readonly measure: Measure;
  readonly at: 'median cell' | '95th percentile';
  readonly control: number;
  readonly ours: number;
  readonly limit: number;
  readonly isMet: boolean;
}

/** Judges the grid as a whole; empty without cells. */
export function judge(cells: readonly CellFigures[]): Judgement[] {
  if (cells.length === 0) return [];
  return MEASURES.flatMap((measure) =>
    (
      [
        ['median cell', 0.5],
        ['95th percentile', 0.95],
      ] as const
    ).map(([at, share], place): Judgement => {
      const control = quantile(
        cells.map(({ figures }) => figures[measure].control),
        share,
      );
      const ours = quantile(
        cells.map(({ figures }) => figures[measure].ours),
        share,
      );
      const limit = control + ALLOWED[measure][place]!;
      return { measure, at, control, ours, limit, isMet: ours <= limit };
    }),
  );
}
