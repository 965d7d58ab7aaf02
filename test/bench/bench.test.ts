// The bench itself: it measures the app servers only after their answers are alike, holds two workers against one of the same
// peer, and says what it leaves out.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bench, fakeEnvironment, LACKS } from './bench-command.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'portico-bench-test-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const BODY = 'hello from the app, 28 bytes';
const HEAD = [
  'HTTP/1.1 200 OK',
  'Server: gunicorn',
  'Date: Wed, 25 Nov 2026 08:00:00 GMT',
  'Connection: close',
  'Content-Type: text/plain; charset=utf-8',
  'Content-Length: 28',
];

describe.skipIf(LACKS)(`npm run bench${LACKS === undefined ? '' : ` (skipped: ${LACKS} is not installed)`}`, () => {
  test('measures ours beside what stands in for the real app server', async () => {
    const venv = fakeEnvironment(join(dir, 'alike'), HEAD, BODY);
    const { results } = await bench(join(dir, 'alike.json'), ['--only', 'sync, bare'], { PORTICO_REAL_VENV: venv });
    const [{ name, rows }] = results.cases as [(typeof results.cases)[0]];
    expect(name).toBe('Gunicorn sync, bare WSGI');
    expect(rows.map(({ peer, against, errors }) => ({ peer, against, errors }))).toEqual([
      { peer: 'gunicorn', against: 'gunicorn', errors: 0 },
      { peer: 'portico', against: 'gunicorn', errors: 0 },
    ]);
    expect(rows[0]!.ratio).toBe(1);
    expect(rows[1]!.ratio).toBeCloseTo(rows[1]!.cpuMicrosPerRequest / rows[0]!.cpuMicrosPerRequest, 9);
    for (const row of rows) expect(row.requestsPerSecond).toBeGreaterThan(0);
  });

  test.each([
    ['a field', HEAD.with(4, 'Content-Type: text/plain'), BODY],
    ['the order of fields', [...HEAD.slice(0, 4), HEAD[5]!, HEAD[4]!], BODY],
    ['the status', HEAD.with(0, 'HTTP/1.1 200 Fine'), BODY],
    ['the body', HEAD, BODY.toUpperCase()],
  ])('measures nothing where %s is another', async (what, head, body) => {
    const venv = fakeEnvironment(join(dir, what), head, body);
    const { out, results } = await bench(join(dir, 'other.json'), ['--only', 'sync, bare'], {
      PORTICO_REAL_VENV: venv,
    });
    expect(results.cases).toEqual([]);
    expect(out).toMatch(/Gunicorn sync, bare WSGI +not measured: gunicorn: 200 .* \| portico: 200 /);
  });

  test('leaves the app servers out without the real ones, and tells how to get them', async () => {
    const { out, results } = await bench(join(dir, 'none.json'), ['--only', 'Uvicorn, bare']);
    expect(out).toContain('left out: the app servers: PORTICO_REAL_VENV names no Python environment (python3 -m venv');
    expect(results.cases).toEqual([]);
    expect(results.leftOut).toEqual([expect.stringContaining('PORTICO_REAL_VENV')]);
  });

  test('holds two workers against one of the same peer', async () => {
    const { results } = await bench(join(dir, 'scaled.json'), ['--only', '2 workers against 1']);
    const [{ rows }] = results.cases as [(typeof results.cases)[0]];
    expect(rows.map(({ peer, against }) => [peer, against])).toEqual([
      ['nginx, 1 worker', 'nginx, 1 worker'],
      ['nginx, 2 workers', 'nginx, 1 worker'],
      ['portico, 1 worker', 'portico, 1 worker'],
      ['portico, 2 workers', 'portico, 1 worker'],
    ]);
    expect(rows[3]!.ratio).toBeCloseTo(rows[3]!.cpuMicrosPerRequest / rows[2]!.cpuMicrosPerRequest, 9);
  });
});

test.each([
  ['--seconds', '2', "Unknown option '--seconds'"],
  ['--rounds', 'x', '"x" is no whole number from 1 on'],
])('refuses %s %s in a sentence', async (flag, value, why) => {
  await expect(bench('unused.json', [flag, value])).rejects.toThrow(why);
});
