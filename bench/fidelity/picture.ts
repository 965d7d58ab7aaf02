// The picture of `npm run fidelity`: one small panel for each topology and work, requests/s against clients, both on
// logarithmic scales; the two real series in grey, ours on top of them. One SVG file, light and dark.

import { SERIES } from './stacks.ts';
import type { CellFigures, Measure } from './verdict.ts';

const PANEL = { width: 168, height: 96, gap: 14 };
const LEFT = 132;
const TOP = 64;

const STYLE = `
  text { font: 11px system-ui, sans-serif; fill: #1b1f24 } .small { font-size: 9px; fill: #5b6470 } .title { font-size: 15px; font-weight: 600 }
  .back { fill: #fff } .panel { fill: #f6f7f9; stroke: #dfe3e8 }
  path { fill: none; stroke-width: 2 } .real { stroke: #868e96 } .again { stroke: #868e96; stroke-dasharray: 3 2 } .ours { stroke: #1f6feb }
  circle.ours { fill: #1f6feb; stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e9ed } .small { fill: #9aa4af } .back { fill: #14171b } .panel { fill: #1d2127; stroke: #2f353d }
    .ours { stroke: #6ea8fe } circle.ours { fill: #6ea8fe } .real, .again { stroke: #adb5bd }
  }`;

const escapeXml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** The picture of one measure as the text of an SVG file. */
export function picture(cells: readonly CellFigures[], measure: Measure, title: string): string {
  const topologies = [...new Set(cells.map(({ cell }) => cell.topology))];
  const works = [...new Set(cells.map(({ cell }) => cell.work))];
  const width = LEFT + Math.max(3, works.length) * (PANEL.width + PANEL.gap);
  const height = TOP + topologies.length * (PANEL.height + PANEL.gap) + 20;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(title)}">`,
    `<style>${STYLE}\n</style><rect class="back" width="${width}" height="${height}"/>`,
    `<text class="title" x="12" y="22">${escapeXml(title)}</text>`,
    key(),
    ...works.map((work, column) => `<text x="${xOf(column)}" y="${TOP - 8}">${escapeXml(work)}</text>`),
  ];
  for (const [row, topology] of topologies.entries()) {
    const y = TOP + row * (PANEL.height + PANEL.gap);
    parts.push(`<text x="12" y="${y + PANEL.height / 2}">${escapeXml(topology)}</text>`);
    for (const [column, work] of works.entries()) {
      const mine = cells.filter(({ cell }) => cell.topology === topology && cell.work === work);
      if (mine.length > 0) parts.push(panel(mine, measure, xOf(column), y));
    }
  }
  return `${parts.join('\n')}\n</svg>\n`;
}

function xOf(column: number): number {
  return LEFT + column * (PANEL.width + PANEL.gap);
}

function key(): string {
  const labels = { real: 'the real stack', again: 'the real stack again', ours: 'ours' };
  return SERIES.map((series, index) => {
    const x = LEFT + index * 150;
    return `<path class="${series}" d="M${x} 38h24"/><text x="${x + 30}" y="42">${labels[series]}</text>`;
  }).join('\n');
}

function panel(cells: readonly CellFigures[], measure: Measure, x: number, y: number): string {
  const values = cells.flatMap(({ figures }) => SERIES.map((series) => figures[measure].medians[series]));
  const known = values.filter((value) => value > 0);
  const low = Math.min(...known) / 1.25;
  const high = Math.max(...known) * 1.25;
  const column = (index: number): number => x + 14 + (index * (PANEL.width - 28)) / Math.max(1, cells.length - 1);
  const row = (value: number): number =>
    y + PANEL.height - 16 - (Math.log(value / low) / Math.log(high / low)) * (PANEL.height - 26);
  const place = (value: number, index: number): string => `${column(index).toFixed(1)} ${row(value).toFixed(1)}`;
  const lines = SERIES.map((series) => {
    const points = cells.map(({ figures }, index) => place(figures[measure].medians[series], index));
    return `<path class="${series}" d="M${points.join('L')}"/>`;
  });
  const dots = cells.map(({ figures }, index) => {
    const [cx, cy] = place(figures[measure].medians.ours, index).split(' ');
    return `<circle class="ours" cx="${cx}" cy="${cy}" r="2.5"/>`;
  });
  const axis = cells.map(
    ({ cell }, index) =>
      `<text class="small" text-anchor="middle" x="${column(index).toFixed(1)}" y="${y + PANEL.height - 3}">${cell.connections}</text>`,
  );
  const worst = Math.max(...cells.map(({ figures }) => figures[measure].ours));
  const note = `<text class="small" x="${x + 4}" y="${y + 11}">at most ${(worst * 100).toFixed(0)}% off</text>`;
  const frame = `<rect class="panel" x="${x}" y="${y}" width="${PANEL.width}" height="${PANEL.height}" rx="4"/>`;
  return [frame, ...lines, ...dots, ...axis, note].join('\n');
}
