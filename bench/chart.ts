// The figures of a run as a page that needs no network, in the frame of `portico report`: ratios at a glance, and for each case
// the CPU time per request of each peer as a bar, with all of its numbers under it.
import { escaped, htmlTable, pageShell } from '../load/report/shell.ts';
import { type BenchResults, type CaseResult, figure, type Row } from './results.ts';

const STYLE = `
.peer { display: grid; grid-template: "name bar cost" / 11rem 1fr 9rem; gap: 0 .75rem; align-items: center; margin-bottom: .3rem; }
.peer .name { grid-area: name; overflow-wrap: anywhere; }
.peer .bar { grid-area: bar; margin: 0; height: 1.1rem; }
.peer .cost { grid-area: cost; text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.scroll { margin-top: .75rem; }
@media (max-width: 40rem) {
  .peer { grid-template: "name cost" "bar bar" / 1fr max-content; margin-bottom: .5rem; }
  .peer .bar { height: .9rem; }
}
`;

/** The page of a run. */
export function benchPage(results: BenchResults): string {
  const { cases, settings, machine, startedAt } = results;
  const { seconds, rounds, connections } = settings;
  const paint = painter(cases);
  const how = `${machine}. Median of ${rounds} x ${seconds} s with ${connections} connections; interleaved, after the answers were compared.`;
  return pageShell({
    title: 'Portico beside the originals',
    heading: 'Portico beside the originals',
    startedAt,
    style: STYLE,
    body: [
      `<p class="muted">${escaped(how)}</p>`,
      overview('Ratios to nginx', cases, ({ against }) => against === 'nginx'),
      overview('Ratios to the real app server', cases, ({ against }) => ['gunicorn', 'uvicorn'].includes(against)),
      ...cases.map((one) => caseSection(one, paint)),
      standingSection(results),
      leftOutSection(results.leftOut),
    ].join('\n'),
  });
}

/** `nginx, 2 workers` is nginx. */
function nameOf(peer: string): string {
  return peer.split(',')[0]!;
}

/** Each peer has the same color in all cases. */
function painter(cases: readonly CaseResult[]): (peer: string) => string {
  const names = [...new Set(cases.flatMap(({ rows }) => rows.map(({ peer }) => nameOf(peer))))];
  return (peer) => `var(--series-${names.indexOf(nameOf(peer)) % 11})`;
}

function ratioOf({ ratio }: Row): string {
  return Number.isFinite(ratio) ? `${figure(ratio, 2)}x` : '-';
}

/** One line a case, one column a peer: CPU time per request, by that of the original, which is not among the columns. */
function overview(title: string, all: readonly CaseResult[], isOf: (row: Row) => boolean): string {
  const cases = all.filter(({ rows }) => rows.some(isOf));
  const peers = [
    ...new Set(cases.flatMap(({ rows }) => rows.filter((row) => row.peer !== row.against).map(({ peer }) => peer))),
  ];
  if (peers.length === 0) return '';
  const lines = cases.map(({ name, rows }) => {
    const original = rows.find((row) => row.peer === row.against);
    const found = peers.map((peer) => rows.find((row) => row.peer === peer));
    return [
      escaped(name),
      original === undefined ? '' : escaped(`${figure(original.cpuMicrosPerRequest, 1)} us`),
      ...found.map((row) => (row === undefined ? '' : ratioOf(row))),
    ];
  });
  const note = 'CPU time of all processes per request, by that of the original in the second column. Less is better.';
  return `<section><h2>${escaped(title)}</h2><p class="muted">${note}</p>${htmlTable(['case', 'original', ...peers.map(escaped)], lines)}</section>`;
}

function caseSection({ name, rows }: CaseResult, paint: (peer: string) => string): string {
  const most = Math.max(0, ...rows.map(({ cpuMicrosPerRequest: us }) => (Number.isFinite(us) ? us : 0)));
  const bars = rows.map((row) => {
    const us = row.cpuMicrosPerRequest;
    const width = Number.isFinite(us) && most > 0 ? (us / most) * 100 : 0;
    const cost = Number.isFinite(us) ? `${figure(us, 1)} us` : 'no answer';
    const drawn = `<span style="width:${width.toFixed(2)}%;background:${paint(row.peer)}"></span>`;
    const ratio = row.peer === row.against || width === 0 ? '' : ` <b>${ratioOf(row)}</b>`;
    return `<div class="peer"><div class="name">${escaped(row.peer)}</div><div class="bar">${width > 0 ? drawn : ''}</div><div class="cost">${cost}${ratio}</div></div>`;
  });
  const lines = rows.map((row) => [
    escaped(row.peer),
    figure(row.cpuMicrosPerRequest, 1),
    ratioOf(row),
    figure(row.requestsPerSecond, 0),
    figure(row.p50Ms, 2),
    figure(row.p99Ms, 2),
    row.errors > 0 ? `<span class="bad">${row.errors}</span>` : '0',
    figure(row.residentMb, 0),
  ]);
  const against = [...new Set(rows.map((row) => row.against))];
  const ratioTo = against.length === 1 ? `ratio to ${against[0]}` : 'ratio to 1 worker';
  const head = ['peer', 'CPU us/request', escaped(ratioTo), 'requests/s', 'p50 ms', 'p99 ms', 'errors', 'memory MB'];
  return `<section><h2>${escaped(name)}</h2>
<div class="peers" role="group" aria-label="${escaped(`CPU time per request: ${name}`)}">
${bars.join('\n')}
</div>
${htmlTable(head, lines)}</section>`;
}

function standingSection({ standing }: BenchResults): string {
  if (standing.length === 0) return '';
  const lines = standing.map(({ peer, startMs, idleKb }) => [escaped(peer), figure(startMs, 0), figure(idleKb, 1)]);
  return `<section><h2>Start-up and idle connections</h2>${htmlTable(['peer', 'start ms', 'KB a connection'], lines)}</section>`;
}

function leftOutSection(leftOut: readonly string[]): string {
  if (leftOut.length === 0) return '';
  return `<section><h2>Not measured</h2><ul>${leftOut.map((text) => `<li>${escaped(text)}</li>`).join('')}</ul></section>`;
}
