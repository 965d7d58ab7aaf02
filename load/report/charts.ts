// The pictures of a report as data: what is drawn, and the same numbers as a table. The page's script knows only this form.
import { decode, percentilePoints } from '../measure/histogram.ts';
import { HOP_NAMES, HOPS, type Hop } from '../measure/hops.ts';
import { kneeOf } from './knee.ts';
import type { NamedRun } from './read-results.ts';

/** A picture with lines over numbers, drawn by uPlot. */
export interface Chart {
  readonly title: string;
  readonly note: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** How x is shown: a number, or the percentile that it stands for. */
  readonly xForm: 'number' | 'percentile';
  readonly isStacked: boolean;
  readonly isLogarithmic: boolean;
  readonly x: readonly number[];
  /** `color` is a place in the palette; by default the line's own number. */
  readonly series: ReadonlyArray<{
    readonly label: string;
    readonly values: ReadonlyArray<number | null>;
    readonly color?: number;
  }>;
  /** Vertical lines. */
  readonly marks: ReadonlyArray<{ readonly x: number; readonly label: string; readonly series: number }>;
}

/** More lines than this cannot be told apart; the rest stands in the tables. */
const MOST_LINES = 8;

/** All pictures for which there is data. */
export function chartsOf(runs: readonly NamedRun[]): Chart[] {
  const shown = runs.slice(0, MOST_LINES);
  const left = runs.length > MOST_LINES ? ` The first ${MOST_LINES} of ${runs.length} are drawn.` : '';
  return [
    ...levelCharts(runs, 'closed'),
    ...levelCharts(runs, 'open'),
    distribution(shown, left),
    ...overTime(shown, left),
    ...shown.flatMap((run) => hopsOverTime(run)),
  ];
}

interface Curve {
  readonly name: string;
  readonly points: Array<{ level: number; requestsPerSecond: number; p50: number; p99: number }>;
}

function curvesOf(runs: readonly NamedRun[], model: 'closed' | 'open'): Curve[] {
  const curves = new Map<string, Curve>();
  for (const { group, result } of runs) {
    if (result.settings.model !== model) continue;
    const curve = curves.get(group) ?? { name: group, points: [] };
    curves.set(group, curve);
    const steps = result.stages.filter(({ stage }) => stage.from === stage.to);
    const whole = {
      stage: result.settings.stages[0]!,
      requestsPerSecond: result.requestsPerSecond,
      latency: result.latency,
    };
    for (const { stage, requestsPerSecond, latency } of steps.length > 1 ? steps : [whole]) {
      if (latency !== undefined)
        curve.points.push({ level: stage.to, requestsPerSecond, p50: latency.p50, p99: latency.p99 });
    }
  }
  for (const { points } of curves.values()) points.sort((a, b) => a.level - b.level);
  return [...curves.values()].filter(({ points }) => points.length > 1).slice(0, MOST_LINES);
}

function levelCharts(runs: readonly NamedRun[], model: 'closed' | 'open'): Chart[] {
  const curves = curvesOf(runs, model);
  if (curves.length === 0) return [];
  const x = [...new Set(curves.flatMap(({ points }) => points.map(({ level }) => level)))].sort((a, b) => a - b);
  const against = model === 'closed' ? 'concurrency' : 'offered rate';
  const xLabel = model === 'closed' ? 'connections' : 'requests/s due';
  const marks = curves.flatMap(({ points }, series) => {
    const knee = kneeOf(points, model);
    return knee === undefined ? [] : [{ x: knee, label: `knee ${knee}`, series }];
  });
  const at = (curve: Curve, pick: (point: Curve['points'][0]) => number) =>
    x.map((level) => {
      const point = curve.points.find((one) => one.level === level);
      return point === undefined ? null : pick(point);
    });
  const usual = { xLabel, xForm: 'number', isStacked: false, x } as const;
  return [
    {
      ...usual,
      title: `Throughput against ${against}`,
      note: marks.length > 0 ? 'The dotted line is the knee: beyond it more load only waits longer.' : '',
      yLabel: 'requests/s',
      isLogarithmic: false,
      series: curves.map((curve) => ({
        label: curve.name,
        values: at(curve, ({ requestsPerSecond }) => requestsPerSecond),
      })),
      marks,
    },
    {
      ...usual,
      title: `Latency against ${against}`,
      note: '',
      yLabel: 'ms',
      isLogarithmic: true,
      series: curves.flatMap((curve) => [
        { label: `${curve.name}, p50`, values: at(curve, ({ p50 }) => p50) },
        { label: `${curve.name}, p99`, values: at(curve, ({ p99 }) => p99) },
      ]),
      marks: [],
    },
  ];
}

function distribution(runs: readonly NamedRun[], left: string): Chart {
  const curves = runs.map(({ label, result }) => ({
    label,
    points: result.latency === undefined ? [] : percentilePoints(decode(result.latency.histogram)),
  }));
  // The usual axis of latencies: each step to the right is a tenth of the requests before it.
  const nines = (percent: number): number => Math.round(-Math.log10(1 - Math.min(percent, 99.9999) / 100) * 1e6) / 1e6;
  const percents = [...new Set(curves.flatMap(({ points }) => points.map(({ percent }) => percent)))]
    .filter((percent) => percent < 100)
    .sort((a, b) => a - b);
  return {
    title: 'Latency distribution',
    note: `The share of requests that were at least as fast.${left}`,
    xLabel: 'percentile',
    yLabel: 'ms',
    xForm: 'percentile',
    isStacked: false,
    isLogarithmic: true,
    x: percents.map(nines),
    series: curves.map(({ label, points }) => ({
      label,
      values: percents.map((percent) => points.find((point) => point.percent === percent)?.ms ?? null),
    })),
    marks: [],
  };
}

function overTime(runs: readonly NamedRun[], left: string): Chart[] {
  const length = Math.max(...runs.map(({ result }) => plannedSeconds(result)));
  if (length < 2) return [];
  const x = Array.from({ length }, (_, second) => second);
  const usual = { xLabel: 's', xForm: 'number', isStacked: false, isLogarithmic: false, x, marks: [] } as const;
  const of = (pick: (second: NamedRun['result']['timeline'][0]) => number) =>
    runs.map(({ label, result }) => ({
      label,
      values: x.map((second) => (second < plannedSeconds(result) ? pick(result.timeline[second]!) : null)),
    }));
  const charts: Chart[] = [
    {
      ...usual,
      title: 'Throughput over time',
      note: left.trim(),
      yLabel: 'requests/s',
      series: of(({ requests }) => requests),
    },
    {
      ...usual,
      title: 'Latency over time, p99',
      note: left.trim(),
      yLabel: 'ms',
      isLogarithmic: true,
      series: of(({ p99 }) => p99),
    },
  ];
  if (runs.some(({ result }) => result.errors > 0)) {
    charts.push({
      ...usual,
      title: 'Errors over time',
      note: left.trim(),
      yLabel: 'errors/s',
      series: of(({ errors }) => errors),
    });
  }
  return charts;
}

/** The seconds that the load lasted: those in which only the last answers came would look like a fall. */
function plannedSeconds({ timeline, settings }: NamedRun['result']): number {
  const planned = settings.stages.reduce((sum, { durationMs }) => sum + durationMs, 0) / 1000;
  return Math.min(timeline.length, Math.max(1, Math.round(planned)));
}

function hopsOverTime({ label, result }: NamedRun): Chart[] {
  const timeline = result.timeline.slice(0, plannedSeconds(result));
  const used = HOP_NAMES.filter((hop) => timeline.some(({ hops }) => (hops[hop] ?? 0) > 0.005));
  if (timeline.length < 2 || used.length < 2) return [];
  return [
    {
      title: `Time by hop over time: ${label}`,
      note: 'Mean of each hop, on top of each other: together the mean latency.',
      xLabel: 's',
      yLabel: 'ms',
      xForm: 'number',
      isStacked: true,
      isLogarithmic: false,
      x: timeline.map(({ second }) => second),
      series: used.map((hop: Hop) => ({
        label: `${hop}: ${HOPS[hop]}`,
        color: HOP_NAMES.indexOf(hop),
        values: timeline.map(({ hops }) => hops[hop] ?? 0),
      })),
      marks: [],
    },
  ];
}
