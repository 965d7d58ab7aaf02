// The report's page: one HTML file that needs no network. Numbers stand under each picture, so that the page says the same to
// those who cannot see it, or print it, or have no scripts.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { HopTable } from '../measure/hop-table.ts';
import { HOP_NAMES } from '../measure/hops.ts';
import type { Lanes } from '../measure/result.ts';
import { showMs, showNumber, showShare } from '../units.ts';
import { type Chart, chartsOf } from './charts.ts';
import { PAGE_SCRIPT } from './page-script.ts';
import type { NamedRun } from './read-results.ts';
import { escaped, htmlTable, pageShell } from './shell.ts';

/** The page of some runs. */
export function reportPage(runs: readonly NamedRun[]): string {
  const charts = chartsOf(runs);
  const title = runs.length === 1 ? runs[0]!.label : `${runs.length} runs compared`;
  const started = runs.map(({ result }) => result.startedAt).sort();
  const uplot = createRequire(import.meta.url).resolve('uplot/dist/uPlot.iife.min.js');
  const library = readFileSync(uplot, 'utf8');
  const libraryStyle = readFileSync(uplot.replace('uPlot.iife.min.js', 'uPlot.min.css'), 'utf8');
  const data = JSON.stringify(charts).replaceAll('<', '\\u003c');
  return pageShell({
    title: `${title}: load`,
    heading: title,
    startedAt: started[0]!,
    style: libraryStyle,
    body: `${summarySection(runs)}
${hopSection(runs)}
${charts.map(chartSection).join('\n')}
${runs.map(({ label, result }) => (result.lanes === undefined ? '' : heatSection(label, result.lanes))).join('\n')}
${failureSection(runs)}
<script type="application/json" id="data">${data}</script>
<script>${library.replaceAll('</script', '<\\/script')}</script>
<script>${PAGE_SCRIPT}</script>`,
  });
}

function summarySection(runs: readonly NamedRun[]): string {
  const first = runs[0]!.result;
  const rows = runs.map(({ label, result }, index) => {
    const { latency, settings } = result;
    const level = settings.stages
      .map(({ from, to }) => (from === to ? showNumber(from) : `${showNumber(from)}-${showNumber(to)}`))
      .join(', ');
    const cell = (value: number, base: number, show: (value: number) => string, isLessBetter: boolean): string =>
      `${show(value)}${index === 0 ? '' : change(value, base, isLessBetter)}`;
    return [
      escaped(label),
      `${level} ${settings.model === 'open' ? '/s due' : 'connections'}`,
      showNumber(result.requests),
      cell(result.requestsPerSecond, first.requestsPerSecond, showNumber, false),
      cell(latency?.p50 ?? Number.NaN, first.latency?.p50 ?? Number.NaN, showMs, true),
      cell(latency?.p95 ?? Number.NaN, first.latency?.p95 ?? Number.NaN, showMs, true),
      cell(latency?.p99 ?? Number.NaN, first.latency?.p99 ?? Number.NaN, showMs, true),
      showMs(latency?.max ?? Number.NaN),
      `${showNumber(result.errors)} (${showShare(result.errorShare)})`,
    ];
  });
  const said = runs.flatMap(({ label, result }) => [
    ...(result.bottleneck === ''
      ? []
      : [`<p>${runs.length > 1 ? `<b>${escaped(label)}</b>: ` : ''}${escaped(result.bottleneck)}</p>`]),
    ...result.generator.warnings.map((warning) => `<p class="bad">${escaped(warning)}</p>`),
  ]);
  const head = ['run', 'load', 'requests', 'requests/s', 'p50', 'p95', 'p99', 'max', 'errors'];
  const against = runs.length > 1 ? `<p class="muted">Changes are against ${escaped(runs[0]!.label)}.</p>` : '';
  return `<section><h2>Results</h2>${htmlTable(head, rows)}${against}${runs.length > 4 ? `<details><summary>Bottlenecks</summary>${said.join('\n')}</details>` : said.join('\n')}</section>`;
}

function change(value: number, base: number, isLessBetter: boolean): string {
  const share = value / base - 1;
  if (!Number.isFinite(share) || Math.abs(share) < 0.005) return '';
  const isGood = share < 0 === isLessBetter;
  return ` <span class="${isGood ? 'good' : 'bad'}">${share > 0 ? '+' : '−'}${(Math.abs(share) * 100).toFixed(0)}%</span>`;
}

function hopSection(runs: readonly NamedRun[]): string {
  const bars = runs.flatMap(({ label, result }) => {
    if (result.hops === undefined) return [];
    return [
      `<h3>${escaped(label)}</h3>`,
      bar('all requests', result.hops, 'all'),
      bar('slowest 1%', result.hops, 'slowest'),
      hopNumbers(result.hops),
      ...(result.accessLog === undefined ? [] : ["<p>By the proxy's access log:</p>", hopNumbers(result.accessLog)]),
    ];
  });
  if (bars.length === 0) return '';
  const used = HOP_NAMES.filter((hop) => runs.some(({ result }) => result.hops?.rows.some((row) => row.hop === hop)));
  const key = used.map((hop) => `<li><i style="background:${hopColor(hop)}"></i>${hop}</li>`).join('');
  const inside = `<ul class="key">${key}</ul>${bars.join('\n')}`;
  return `<section><h2>Where the time went</h2>${inside}</section>`;
}

function hopColor(hop: string): string {
  return `var(--series-${Math.max(0, HOP_NAMES.indexOf(hop as never))})`;
}

function bar(title: string, { rows }: HopTable, which: 'all' | 'slowest'): string {
  const parts = rows.map(
    (row) =>
      `<span style="width:${(row[which].share * 100).toFixed(2)}%;background:${hopColor(row.hop)}" title="${escaped(`${row.hop}: ${showShare(row[which].share)}`)}"></span>`,
  );
  return `<div class="muted">${title}</div><div class="bar">${parts.join('')}</div>`;
}

function hopNumbers({ rows }: HopTable): string {
  const cells = rows.map(({ hop, meaning, all, slowest }) => [
    `<b>${escaped(hop)}</b> <span class="muted">${escaped(meaning)}</span>`,
    showMs(all.p50),
    showMs(all.p99),
    showShare(all.share),
    showMs(slowest.p50),
    showMs(slowest.p99),
    showShare(slowest.share),
  ]);
  return `<details><summary>Numbers</summary>${htmlTable(['hop', 'p50', 'p99', 'share', 'slowest 1%: p50', 'p99', 'share'], cells)}</details>`;
}

function chartSection(chart: Chart, index: number): string {
  const head = [chart.xLabel, ...chart.series.map(({ label }) => escaped(label))];
  const rows = chart.x.map((x, row) => [
    chart.xForm === 'percentile' ? `p${Number((100 * (1 - 10 ** -x)).toFixed(4))}` : String(x),
    ...chart.series.map(({ values }) =>
      values[row] === null || values[row] === undefined ? '' : showNumber(Number(values[row]!.toPrecision(5))),
    ),
  ]);
  const unit = `in ${chart.yLabel}`;
  return `<section><h2>${escaped(chart.title)}</h2>${chart.note === '' ? '' : `<p class="muted">${escaped(chart.note)}</p>`}
<div id="chart-${index}" role="img" aria-label="${escaped(chart.title)}"></div>
<details><summary>Numbers, ${escaped(unit)}</summary>${htmlTable(head, rows)}</details></section>`;
}

function heatSection(label: string, { names, values, unit, source }: Lanes): string {
  const most = Math.max(Number.MIN_VALUE, ...values.flat());
  const sources = {
    worker: 'Each row is a worker, as it named itself in Server-Timing.',
    peer: "Each row is an upstream peer, by the proxy's access log.",
    cpu: 'Each row is a process of the app servers, by its CPU time.',
  };
  const rows = names.map((name, lane) => {
    const cells = values[lane]!.map(
      (value, second) =>
        `<td style="background:color-mix(in srgb, var(--accent) ${Math.round((value / most) * 100)}%, var(--back))" title="${escaped(`${name}, second ${second}: ${showNumber(value)} ${unit}`)}"></td>`,
    );
    return `<tr><th>${escaped(name)}</th>${cells.join('')}</tr>`;
  });
  const length = Math.max(0, ...values.map((row) => row.length));
  const numbers = htmlTable(
    ['', ...Array.from({ length }, (_, second) => `${second} s`)],
    names.map((name, lane) => [escaped(name), ...values[lane]!.map((value) => showNumber(value))]),
  );
  return `<section><h2>Workers over time: ${escaped(label)}</h2><p class="muted">${sources[source]} Darker is more, up to ${showNumber(most)} ${unit}; each column is a second.</p>
<div class="scroll"><table class="heat"><tbody>${rows.join('\n')}</tbody></table></div><details><summary>Numbers, ${unit}</summary>${numbers}</details></section>`;
}

function failureSection(runs: readonly NamedRun[]): string {
  const rows = runs.flatMap(({ label, result }) =>
    [...Object.entries(result.failures), ...Object.entries(result.makers)].map(([kind, count]) => [
      escaped(label),
      escaped(kind),
      showNumber(count),
      showShare(count / result.requests),
    ]),
  );
  return rows.length === 0
    ? ''
    : `<section><h2>Errors by kind</h2>${htmlTable(['run', 'kind', 'requests', 'share'], rows)}</section>`;
}
