// The report is one file that needs no network, and draws what it says.
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LoadResult } from '../../load/measure/result.ts';
import { chartsOf } from '../../load/report/charts.ts';
import { kneeOf } from '../../load/report/knee.ts';
import { readResults } from '../../load/report/read-results.ts';
import { portico, stopAll, temporaryDirectory } from './load-command.ts';
import { describePage } from './page.ts';

let server: Server;
let directory: string;
let page: string;
let results: string[];

beforeAll(async () => {
  server = createServer((request, response) => {
    response.setHeader('Server-Timing', 'queue;dur=1.5, app;dur=4, cpu;dur=1, io;dur=3, worker;desc="<41>"');
    response.statusCode = request.url === '/bad' ? 503 : 200;
    setTimeout(() => response.end('hello'), 7);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  directory = temporaryDirectory();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  results = ['before', 'after', 'rates'].map((name) => join(directory, `${name}.json`));
  await portico(['load', '-q', '-c', '1:1s,4:1s,16:1s', '--out', results[0]!, url, `${url}bad`]);
  await portico(['load', '-q', '-c', '2:1s,8:1s,32:1s', '--out', results[1]!, url]);
  await portico(['load', '-q', '-r', '20:1s,50:1s,80:1s', '--out', results[2]!, url]);
  page = join(directory, 'report.html');
  const { status, stderr } = await portico(['report', ...results, '--out', page]);
  expect(stderr).toBe('');
  expect(status).toBe(0);
});

afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await stopAll();
});

test('is one file that names no other, with the numbers in it', () => {
  const html = readFileSync(page, 'utf8');
  expect(html).not.toMatch(/<(script|img|link|iframe)[^>]+(src|href)="(?!data:)/);
  expect(html).not.toMatch(/@import|url\(http/);
  const { requests } = JSON.parse(readFileSync(results[0]!, 'utf8')) as LoadResult;
  expect(html).toContain(`<td>${requests.toLocaleString('en-US')}</td>`);
  for (const title of [
    'Throughput against concurrency',
    'Latency against concurrency',
    'Throughput against offered rate',
    'Latency distribution',
    'Errors over time',
    'Where the time went',
    'Workers over time',
    'Errors by kind',
  ]) {
    expect(html).toContain(title);
  }
  // What a server says must not become markup.
  expect(html).not.toContain('<41>');
});

describePage(
  'report',
  () => page,
  async (browser) => {
    const count = chartsOf(readResults(results)).length;
    expect(count).toBeGreaterThan(6);
    expect(await browser.evaluate('document.documentElement.dataset.drawn')).toBe(String(count));
    // A chart is drawn when its canvas has more than one color.
    const painted = await browser.evaluate<number>(`[...document.querySelectorAll('canvas')].filter((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const colors = new Set();
      for (let at = 0; at < data.length; at += 4) if (data[at + 3] > 200) colors.add(data[at] << 16 | data[at + 1] << 8 | data[at + 2]);
      return colors.size > 2;
    }).length`);
    expect(painted).toBe(count);
  },
);

test('the knee is where more load stops giving more throughput', () => {
  const points = (...pairs: Array<[number, number]>) =>
    pairs.map(([level, requestsPerSecond]) => ({ level, requestsPerSecond }));
  expect(kneeOf(points([1, 50], [2, 100], [4, 200], [8, 205], [16, 206]), 'closed')).toBe(4);
  expect(kneeOf(points([2, 88], [8, 85], [16, 71]), 'closed')).toBe(2);
  expect(kneeOf(points([100, 100], [200, 200], [300, 240], [400, 240]), 'open')).toBe(200);
  expect(kneeOf(points([1, 10], [2, 20], [3, 30]), 'closed')).toBeUndefined();
});

test('what is no result is refused with its name', async () => {
  const other = join(directory, 'other.json');
  writeFileSync(other, '{"name": "portico"}');
  const finished = await portico(['report', other]);
  expect(finished.stderr).toMatch(/other\.json is no result of portico load or portico sweep/);
  expect(finished.status).toBe(1);
});
