// A sweep brings topologies up and down, can be interrupted and goes on, and names the cheapest that is good enough.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { LoadResult } from '../../load/measure/result.ts';
import { parseThreshold } from '../../load/measure/thresholds.ts';
import type { FinishedRun, SweepFile } from '../../load/sweep/result-file.ts';
import { sweepPlan } from '../../load/sweep/sweep-plan.ts';
import { sweepRows, verdictOf } from '../../load/sweep/verdict.ts';
import { finish, portico, startPortico, stopAll, temporaryDirectory } from './load-command.ts';

afterEach(stopAll);

test('an interrupted sweep of 12 cells goes on and ends with the same table', { timeout: 120_000 }, async () => {
  const directory = temporaryDirectory();
  const out = join(directory, 'sweep.json');
  const csv = join(directory, 'sweep.csv');
  const command = [
    'sweep',
    '--class',
    'sync,gthread',
    '--path',
    '/,/io?ms=5,/size?bytes=9',
    '--connections',
    '1,2',
    '--duration',
    '200ms',
  ];
  const args = [...command, '--warmup', '50ms', '--repeat', '1', '--out', out, '--csv', csv];
  const first = startPortico(args);
  const interrupted = finish(first);
  await new Promise<void>((resolve) => {
    let said = '';
    first.stderr!.on('data', (text: string) => {
      said += text;
      if (/^5\/12/m.test(said)) resolve();
    });
  });
  first.kill('SIGINT');
  const { status, stderr } = await interrupted;
  expect(stderr).toMatch(/interrupted after \d+ of 12 runs; the same command goes on/);
  expect(status).toBe(130);
  const half = JSON.parse(readFileSync(out, 'utf8')) as SweepFile;
  expect(half.runs.length).toBeGreaterThanOrEqual(5);
  expect(half.runs.length).toBeLessThan(12);

  const second = await portico(args);
  expect(second.status, second.stderr).toBe(0);
  const whole = JSON.parse(readFileSync(out, 'utf8')) as SweepFile;
  expect(whole.runs).toHaveLength(12);
  expect(whole.runs.slice(0, half.runs.length)).toEqual(half.runs);
  expect(whole.runs.every(({ result }) => result.requests > 0 && result.errors === 0)).toBe(true);
  expect(readFileSync(csv, 'utf8').trimEnd().split('\n')).toHaveLength(13);
  // Run once more, there is nothing to do, and the table is the same.
  const third = await portico(args);
  expect(third.stdout).toBe(second.stdout);
  expect(existsSync(`${out}.new`)).toBe(false);

  const other = await portico(['sweep', '--workers', '2', '--out', out]);
  expect(other.stderr).toMatch(/has the result of another sweep/);
  expect(other.status).toBe(2);
});

describe('the grid', () => {
  test('leaves out what makes no difference', () => {
    const plan = sweepPlan(['--class', 'sync,gthread', '--threads', '1,4', '--gil', 'on,off'])!;
    expect(plan.topologies.map((topology) => [topology.class, topology.threads, topology.gil].join())).toEqual([
      'sync,1,on',
      'gthread,1,on',
      'gthread,1,off',
      'gthread,4,on',
      'gthread,4,off',
    ]);
  });

  test('can come from a file', () => {
    const path = join(temporaryDirectory(), 'sizes.yml');
    writeFileSync(
      path,
      "workers: [1, 2]\nclass: gthread\ngil: [on, off]\npath: /io?ms=5\nat: 300rps\nslo: 'p99<250ms,errors<0.1%'\n",
    );
    const plan = sweepPlan([path, '--repeat', '2'])!;
    expect(plan.topologies).toHaveLength(4);
    expect(plan).toMatchObject({ paths: ['/io?ms=5'], levels: [{ model: 'open', level: 300 }], repeat: 2 });
    expect(plan.slo.map(({ text }) => text)).toEqual(['p99<250ms', 'errors<0.1%']);
    writeFileSync(path, 'workers: 1\nclass: [sync, gevent]\n');
    expect(() => sweepPlan([path])).toThrow(/sizes\.yml:2: class: "gevent" is not one of its values/);
    writeFileSync(path, 'worker: 1\n');
    expect(() => sweepPlan([path])).toThrow(/sizes\.yml:1: worker: is no field/);
  });

  test.each([
    [['--workers', '0'], /--workers: "0" is no number that it can be; write 2/],
    [['--slo', 'p99<250'], /--slo: "250" needs a unit/],
    [['--path', 'io'], /--path: "io" is no path/],
    [['--what'], /--what/],
  ])('%j is refused', (args, message) => {
    expect(() => sweepPlan(args)).toThrow(message);
  });
});

test('the verdict is the cheapest topology that holds the rate and the bounds on every path', () => {
  const plan = sweepPlan(['--workers', '1,2,4', '--path', '/a,/b', '--at', '100'])!;
  const slo = [parseThreshold('p99<250ms')];
  const run = (workers: string, path: string, requestsPerSecond: number, p99: number): FinishedRun => ({
    cell: { topology: plan.topologies.find((topology) => topology.workers === workers)!, path, level: plan.levels[0]! },
    repeat: 0,
    residentBytes: 1,
    result: { requestsPerSecond, errorShare: 0, latency: { p50: 1, p95: 1, p99 } } as LoadResult,
  });
  const cells = plan.topologies.flatMap((topology) =>
    plan.paths.map((path) => ({ topology, path, level: plan.levels[0]! })),
  );
  const verdict = (...runs: FinishedRun[]) => verdictOf(sweepRows(cells, runs, slo), slo, true)!;
  expect(
    verdict(
      run('1', '/a', 100, 9),
      run('1', '/b', 60, 9),
      run('2', '/a', 100, 9),
      run('2', '/b', 99, 9),
      run('4', '/a', 100, 1),
      run('4', '/b', 100, 1),
    ).best?.workers,
  ).toBe('2');
  expect(verdict(run('1', '/a', 100, 9), run('1', '/b', 100, 251)).best).toBeUndefined();
  expect(verdict(run('1', '/a', 100, 300)).text).toMatch(/No topology of this grid meets p99<250ms/);
  // Of a sweep that was interrupted nothing is said: what is missing may be the cheapest.
  expect(verdictOf(sweepRows(cells, [run('4', '/a', 100, 1)], slo), slo, false)).toBeUndefined();
});
