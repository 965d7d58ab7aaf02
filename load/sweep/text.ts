// The table of a sweep, as text and as CSV.
import { showBytes, showMs, showNumber, showShare } from '../units.ts';
import { table } from '../view/table.ts';
import { AXIS_NAMES, type Axis } from './topology.ts';
import type { SweepRow, Verdict } from './verdict.ts';

/** Lines with their ends; columns of axes that do not differ are left out. */
export function sweepText(rows: readonly SweepRow[], verdict: Verdict | undefined): string {
  if (rows.length === 0) return 'No run was finished.\n';
  const axes = AXIS_NAMES.filter((axis) => axis === 'class' || differs(rows, axis));
  const isJudged = rows.some(({ isGood }) => isGood !== undefined);
  const head = [
    ...axes,
    'path',
    'load',
    'requests/s',
    'p50',
    'p95',
    'p99',
    'errors',
    'memory',
    ...(isJudged ? ['good'] : []),
  ];
  const lines = rows.map((row) => [
    ...axes.map((axis) => row.cell.topology[axis]),
    row.cell.path,
    row.cell.level.model === 'closed' ? `${row.cell.level.level} connections` : `${row.cell.level.level}/s`,
    showNumber(row.requestsPerSecond),
    showMs(row.p50),
    showMs(row.p95),
    showMs(row.p99),
    showShare(row.errorShare),
    showBytes(row.residentBytes),
    ...(isJudged ? [row.isGood ? 'yes' : 'no'] : []),
  ]);
  const numbers = head.map((_, column) => column).slice(axes.length + 2);
  return `${table([head, ...lines], numbers)}\n${verdict === undefined ? '' : `\n${verdict.text}\n`}`;
}

/** All columns, numbers in ms and bytes. */
export function sweepCsv(rows: readonly SweepRow[]): string {
  const head = [
    ...AXIS_NAMES,
    'path',
    'model',
    'level',
    'requests_per_second',
    'p50_ms',
    'p95_ms',
    'p99_ms',
    'error_share',
    'resident_bytes',
    'good',
  ];
  const lines = rows.map(({ cell, requestsPerSecond, p50, p95, p99, errorShare, residentBytes, isGood }) =>
    [
      ...AXIS_NAMES.map((axis) => cell.topology[axis]),
      cell.path,
      cell.level.model,
      cell.level.level,
      requestsPerSecond,
      p50,
      p95,
      p99,
      errorShare,
      residentBytes,
      isGood ?? '',
    ].map(quoted),
  );
  return `${[head, ...lines].map((line) => line.join(',')).join('\n')}\n`;
}

function quoted(value: string | number | boolean): string {
  const text = String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function differs(rows: readonly SweepRow[], axis: Axis): boolean {
  return new Set(rows.map(({ cell }) => cell.topology[axis])).size > 1;
}
