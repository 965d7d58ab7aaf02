// What `npm run fidelity` prints and writes: the verdict, and the table of all cells, as Markdown that reads as plain text too.
import { showMs, showNumber } from '../../load/units.ts';
import type { CellFigures, Judgement, Measure } from './verdict.ts';

const NAMES: Readonly<Record<Measure, string>> = { requestsPerSecond: 'requests/s', p50: 'p50', p95: 'p95' };
/** A cell whose repeats on the real stack differ by more than this is unsteady. */
const UNSTEADY = 0.25;

const percent = (share: number): string => `${(share * 100).toFixed(1)}%`;

/** Rows as a Markdown table whose columns are aligned; all but the first `left` columns to the right. */
function table(head: readonly string[], rows: ReadonlyArray<readonly string[]>, left: number): string {
  const widths = head.map((_, column) => Math.max(3, ...[head, ...rows].map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => (column < left ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join(' | ')} |`;
  const rule = widths.map((width, column) => (column < left ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(head), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n');
}

/** The verdict: how far ours is from the real stack, beside how far the real stack is from itself. */
export function verdictText(judgements: readonly Judgement[], cells: number): string {
  const rows = judgements.map(({ measure, at, control, ours, limit, isMet }) => [
    NAMES[measure],
    at,
    percent(control),
    percent(ours),
    percent(limit),
    isMet ? 'met' : 'missed',
  ]);
  return `How far from the real stack, over ${cells} cells:\n\n${table(
    ['measure', 'at', 'the real stack again', 'ours', 'allowed', 'target'],
    rows,
    2,
  )}\n\n${outcome(judgements)}\n`;
}

/** The verdict in a sentence, what was missed by name. */
function outcome(judgements: readonly Judgement[]): string {
  const missed = judgements.filter(({ isMet }) => !isMet);
  const met = `${judgements.length - missed.length} of ${judgements.length} targets met`;
  const names = missed.map(
    ({ measure, at, ours, limit }) => `${NAMES[measure]} at the ${at} (${percent(ours)}, allowed ${percent(limit)})`,
  );
  return missed.length === 0 ? `${met}.` : `${met}; missed: ${names.join(', ')}.`;
}

/** The cells that are farther off than the 95th percentile may be, farthest first. */
function tail(cells: readonly CellFigures[], judgements: readonly Judgement[]): string {
  const rows = judgements
    .filter(({ at }) => at === '95th percentile')
    .flatMap(({ measure, limit }) =>
      cells
        .filter(({ figures }) => figures[measure].ours > limit)
        .toSorted((one, other) => other.figures[measure].ours - one.figures[measure].ours)
        .map(({ cell, figures }) => [
          NAMES[measure],
          cell.topology,
          cell.work,
          String(cell.connections),
          percent(figures[measure].control),
          percent(figures[measure].ours),
          percent(limit),
        ]),
    );
  if (rows.length === 0) return 'None.\n';
  return `${table(['measure', 'topology', 'work', 'c', 'the real stack again', 'ours', 'allowed'], rows, 3)}\n`;
}

function figuresOf(cells: readonly CellFigures[], measure: Measure): string {
  const show = measure === 'requestsPerSecond' ? showNumber : showMs;
  const rows = cells.map(({ cell, figures }) => {
    const { medians } = figures[measure];
    return [
      cell.topology,
      cell.work,
      String(cell.connections),
      show(medians.real),
      show(medians.again),
      show(medians.ours),
      (medians.again / medians.real).toFixed(2),
      (medians.ours / medians.real).toFixed(2),
    ];
  });
  return table(['topology', 'work', 'c', 'real', 'again', 'ours', 'again/real', 'ours/real'], rows, 2);
}

function unsteady(cells: readonly CellFigures[]): string {
  const shaky = cells.filter(({ figures }) => {
    const { real, again, ours } = figures.requestsPerSecond.spreads;
    return Math.max(Math.min(real, again), ours) > UNSTEADY;
  });
  if (shaky.length === 0) return `No cell's repeats differ by more than ${percent(UNSTEADY)} of their median.\n`;
  const rows = shaky.map(({ cell, figures }) => {
    const { real, again, ours } = figures.requestsPerSecond.spreads;
    return [cell.topology, cell.work, String(cell.connections), percent(real), percent(again), percent(ours)];
  });
  return `${table(['topology', 'work', 'c', 'real', 'again', 'ours'], rows, 2)}\n`;
}

/** The whole document; `about` are lines on when, where and with what it was measured. */
export function reportText(
  cells: readonly CellFigures[],
  judgements: readonly Judgement[],
  about: readonly string[],
): string {
  const failed = cells.filter(({ errors }) => Object.values(errors).some((count) => count > 0));
  const errors = failed.map(
    ({ cell, errors: { real, again, ours } }) =>
      `- ${cell.topology}, ${cell.work}, ${cell.connections} connections: real ${real}, again ${again}, ours ${ours}`,
  );
  return [
    '# Ours beside the real Gunicorn and Uvicorn',
    about.map((line) => `- ${line}`).join('\n'),
    '## Verdict',
    verdictText(judgements, cells.length),
    '## Cells that are farther off than the 95th percentile may be',
    tail(cells, judgements),
    '## Requests that failed',
    errors.length === 0 ? 'None.\n' : `${errors.join('\n')}\n`,
    '## Requests/s',
    figuresOf(cells, 'requestsPerSecond'),
    '## p50 latency',
    figuresOf(cells, 'p50'),
    '## p95 latency',
    figuresOf(cells, 'p95'),
    '## Unsteady cells',
    `Highest less lowest of a cell's repeats, in parts of their median, where it is above ${percent(UNSTEADY)} in both series of the real stack, or in ours.\n`,
    unsteady(cells),
  ].join('\n\n');
}
