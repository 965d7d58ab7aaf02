import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ServerProcess } from './server-process.ts';

// More than any system gives.
const NO_PID = 2 ** 30;

function metric(text: string, name: string): number {
  return Number(new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
}

describe('the gauges of the GIL', () => {
  it('show waits, holds and forced switches of a gthread worker as a Prometheus file', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'portico-metrics-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const stale = path.join(directory, `portico-${NO_PID}.prom`);
    writeFileSync(stale, 'portico_gil_waiting_threads{} 1\n');
    await using server = new ServerProcess(
      'gunicorn',
      ['--threads', '2', '-b', '127.0.0.1:0', 'services/apps/flask.ts:app'],
      { env: { PORTICO_METRICS_DIR: directory } },
    );
    const [, port] = await server.said(/Listening at: http:\/\/127\.0\.0\.1:(\d+)/);
    const ask = (): Promise<Response> => fetch(`http://127.0.0.1:${port}/cpu?ms=60`);
    await Promise.all([ask(), ask()]);
    const text = await server.until(() => {
      const [name] = readdirSync(directory).filter((each) => /^portico-\d+\.prom$/.test(each));
      const found = name ? readFileSync(path.join(directory, name), 'utf8') : '';
      return metric(found, 'portico_gil_forced_switches_total') > 0 && found;
    }, 'gauges with a forced switch');
    expect(text).toContain('# TYPE portico_gil_wait_seconds_total counter\n');
    expect(text).toMatch(/^portico_gil_waiting_threads\{pid="\d+",worker_class="gthread"\} \d+$/m);
    expect(metric(text, 'portico_gil_wait_seconds_total')).toBeGreaterThan(0);
    expect(metric(text, 'portico_gil_hold_seconds_total')).toBeGreaterThan(0);
    expect(metric(text, 'portico_gil_switches_total')).toBeGreaterThanOrEqual(
      metric(text, 'portico_gil_forced_switches_total'),
    );
    expect(existsSync(stale)).toBe(false);
  });
});
