// The page of a bench run is one file that needs no network, and draws what it says.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { benchPage } from '../../bench/chart.ts';
import { type BenchResults, type Measured, type Row, withRatios } from '../../bench/results.ts';
import { describePage } from '../load/page.ts';
import { bench, LACKS } from './bench-command.ts';

const usual: Measured = {
  requestsPerSecond: 12_345.6,
  cpuMicrosPerRequest: 0,
  p50Ms: 1.234,
  p99Ms: null,
  errors: 0,
  residentMb: 31.4,
};

function rows(costs: Readonly<Record<string, number>>, against: (peer: string) => string): Row[] {
  return withRatios(
    Object.entries(costs).map(([peer, us]) => ({ ...usual, peer, against: against(peer), cpuMicrosPerRequest: us })),
  );
}

const RESULTS: BenchResults = {
  format: 'portico-bench/1',
  startedAt: '2026-11-25T08:00:00.000Z',
  machine: 'A <processor>, 2 cores',
  settings: { seconds: 5, rounds: 3, connections: 64 },
  leftOut: ['caddy is not installed (apt-get install caddy)'],
  cases: [
    {
      name: 'proxied keepalive, 34 B',
      rows: rows(
        { nginx: 20, portico: 30, haproxy: 25, caddy: 80, 'http-proxy': 200, '@fastify/http-proxy': 180 },
        () => 'nginx',
      ),
    },
    { name: 'static 1 KB', rows: rows({ nginx: 20, portico: 21, caddy: Number.NaN }, () => 'nginx') },
    {
      name: 'proxied, 2 workers against 1',
      rows: rows(
        { 'nginx, 1 worker': 20, 'nginx, 2 workers': 21, 'portico, 1 worker': 30, 'portico, 2 workers': 33 },
        (peer) => peer.replace('2 workers', '1 worker'),
      ),
    },
    { name: 'Uvicorn, bare ASGI', rows: rows({ uvicorn: 80, portico: 60 }, () => 'uvicorn') },
  ],
  standing: [{ peer: 'nginx', startMs: 12.3, idleKb: 0.74 }],
};

let directory: string;
let page: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'portico-chart-'));
  page = join(directory, 'bench.html');
  writeFileSync(page, benchPage(RESULTS));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test('is one file that names no other, with the numbers in it', () => {
  const html = readFileSync(page, 'utf8');
  expect(html).not.toMatch(/<(script|img|link|iframe)[^>]+(src|href)="(?!data:)/);
  expect(html).not.toMatch(/@import|url\(http/);
  expect(html).toContain('<th>case</th><th>original</th><th>portico</th><th>haproxy</th><th>caddy</th>');
  expect(html).toContain('<td>proxied keepalive, 34 B</td><td>20.0 us</td><td>1.50x</td><td>1.25x</td><td>4.00x</td>');
  expect(html).toContain('<td>Uvicorn, bare ASGI</td><td>80.0 us</td><td>0.75x</td>');
  expect(html).toContain('<td>portico, 2 workers</td><td>33.0</td><td>1.10x</td><td>12346</td><td>1.23</td><td>-</td>');
  expect(html).toContain('caddy is not installed');
  // What the system says must not become markup.
  expect(html).not.toContain('<processor>');
});

describePage(
  'bench',
  () => page,
  async (browser) => {
    const drawn = await browser.evaluate<Array<Array<{ share: number; color: string; top: number }>>>(`
        [...document.querySelectorAll('.peers')].map((group) => [...group.querySelectorAll('.bar')].map((bar) => {
          const part = bar.firstElementChild;
          if (part === null) return { share: 0, color: '', top: bar.getBoundingClientRect().top };
          const { width, height, top } = part.getBoundingClientRect();
          return { share: height < 5 ? -1 : width / bar.clientWidth, color: getComputedStyle(part).backgroundColor, top };
        }))`);
    expect(drawn.length).toBe(RESULTS.cases.length);
    RESULTS.cases.forEach(({ rows }, index) => {
      const costs = rows.map(({ cpuMicrosPerRequest: us }) => (Number.isFinite(us) ? us : 0));
      expect(drawn[index]!.length).toBe(rows.length);
      for (const [row, cost] of costs.entries())
        expect(drawn[index]![row]!.share).toBeCloseTo(cost / Math.max(...costs), 2);
      const tops = drawn[index]!.map(({ top }) => top);
      expect(tops).toEqual(tops.toSorted((a, b) => a - b));
    });
    const colors = drawn[0]!.map(({ color }) => color);
    expect(new Set(colors).size).toBe(colors.length);
    // The same peer has the same color everywhere.
    expect([drawn[1]![1]!.color, drawn[2]![3]!.color, drawn[3]![1]!.color]).toEqual(Array(3).fill(colors[1]));
  },
);

test.skipIf(LACKS)(`a run draws its page beside its figures${LACKS ? ` (skipped: no ${LACKS})` : ''}`, async () => {
  const json = join(directory, 'run.json');
  const { out, results } = await bench(json, ['--only', 'static 1 KB']);
  const drawn = join(directory, 'run.html');
  expect(out).toContain(`${json}\n${drawn}\n`);
  const [{ rows }] = results.cases as [(typeof results.cases)[0]];
  const html = readFileSync(drawn, 'utf8');
  for (const { peer, cpuMicrosPerRequest: us } of rows)
    expect(html).toContain(`<td>${peer}</td><td>${us.toFixed(1)}</td>`);
});
