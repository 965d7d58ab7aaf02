import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { owe, settle, usePythonCost } from '../../services/cost/bill.ts';
import { figureOf } from '../../services/cost/measure.ts';
import { FIGURES, type FigureName, pythonCostFactor, readCostProfile } from '../../services/cost/profile.ts';
import { burn, threadCpuMs } from '../../services/gil/python.ts';
import { ROOT } from './server-process.ts';

const run = promisify(execFile);

function profileFile(change: (figures: Record<string, { us: number }>) => void): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'portico-cost-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = path.join(directory, 'profile.json');
  const figures = Object.fromEntries(Object.keys(FIGURES).map((name) => [name, { us: 0, low: 0, high: 0 }]));
  change(figures);
  writeFileSync(file, JSON.stringify({ name: 'test', measured: {}, figures }));
  return file;
}

describe('the cost of Python', () => {
  afterEach(() => {
    delete process.env['PORTICO_COST_PROFILE'];
    usePythonCost(0);
  });

  function cpuOf(action: () => void): number {
    const start = threadCpuMs();
    action();
    return threadCpuMs() - start;
  }

  /** From now on this figure costs so many us, the others nothing. */
  function charge(name: FigureName, us: number, factor: number): void {
    process.env['PORTICO_COST_PROFILE'] = profileFile((figures) => Object.assign(figures[name]!, { us }));
    usePythonCost(factor);
    settle();
  }

  it('is spent as CPU time, as often as the factor says', () => {
    charge('flask.request', 20_000, 2);
    const spent = cpuOf(() => {
      owe('flask.request');
      settle();
    });
    // 40 ms, less what this test itself has used since the bill was settled.
    expect(spent).toBeGreaterThan(30);
  });

  it('counts what the server has used itself, but not what the application asked for', () => {
    charge('sync.request', 30_000, 1);
    const own = cpuOf(() => {
      const end = threadCpuMs() + 30;
      while (threadCpuMs() < end);
      owe('sync.request');
    });
    const rest = cpuOf(settle);
    // Nothing was left to spend: far less than another 30 ms.
    expect(own).toBeGreaterThanOrEqual(30);
    expect(rest).toBeLessThan(20);
    const withWork = cpuOf(() => {
      burn(30);
      owe('sync.request');
      settle();
    });
    expect(withWork).toBeGreaterThan(45);
  });

  it("is exact over many small bills: what one went beyond is the next one's", () => {
    charge('sync.request', 200, 1);
    const spent = cpuOf(() => {
      for (let bill = 0; bill < 500; bill++) {
        owe('sync.request');
        settle();
      }
    });
    expect(spent).toBeGreaterThan(97);
    expect(spent).toBeLessThan(103);
  });

  it('counts what was used beyond one bill for those after it, but no more than a little', () => {
    charge('uvicorn.request', 20_000, 1);
    // As a turn does that has read two requests before it answers the first.
    const end = threadCpuMs() + 24;
    while (threadCpuMs() < end);
    owe('uvicorn.request');
    settle();
    const next = (): void => {
      owe('uvicorn.request');
      settle();
    };
    const second = cpuOf(next);
    expect(second).toBeGreaterThan(14);
    expect(second).toBeLessThan(18);
    expect(cpuOf(next)).toBeGreaterThan(18);
  });

  it('is nothing at 0', () => {
    process.env['PORTICO_COST_PROFILE'] = '/no/such/profile';
    usePythonCost(0);
    owe('fastapi.boot');
    expect(cpuOf(settle)).toBeLessThan(50);
  });

  it('reads the factor from the flag, then from the environment', () => {
    expect(pythonCostFactor(null, {})).toBe(1);
    expect(pythonCostFactor(null, { PORTICO_PYTHON_COST: '0.5' })).toBe(0.5);
    expect(pythonCostFactor('0', { PORTICO_PYTHON_COST: '3' })).toBe(0);
    expect(() => pythonCostFactor('much', {})).toThrow("--python-cost: 'much' is not a number from 0 to 1000");
    expect(() => pythonCostFactor(null, { PORTICO_PYTHON_COST: '-1' })).toThrow("PORTICO_PYTHON_COST: '-1'");
  });

  it('ships a profile with every figure and where it comes from', () => {
    const profile = readCostProfile({});
    expect(Object.keys(profile.figures)).toEqual(Object.keys(FIGURES));
    expect(profile.measured.versions).toHaveProperty('gunicorn');
    expect(profile.measured.notes.join()).toContain('portico calibrate');
    for (const { us, low, high } of Object.values(profile.figures)) expect(low <= us && us <= high).toBe(true);
  });

  it('refuses a profile without a figure by file and name, and a server does not start with it', async () => {
    const file = profileFile((figures) => void delete figures['gil.switch']);
    expect(() => readCostProfile({ PORTICO_COST_PROFILE: file })).toThrow(/profile\.json: figures\["gil\.switch"\]/);
    for (const [program, status] of [
      ['gunicorn', 1],
      ['uvicorn', 2],
    ] as const) {
      const failed = run(process.execPath, [`services/${program}.ts`, 'services/apps/flask.ts:app'], {
        cwd: ROOT,
        env: { ...process.env, PORTICO_COST_PROFILE: file },
      });
      await expect(failed).rejects.toMatchObject({ code: status, stderr: expect.stringContaining('gil.switch') });
    }
  });

  it('takes the median of the repeats, and nothing below zero', () => {
    expect(figureOf([30, 10, 20])).toEqual({ us: 20, low: 10, high: 30 });
    expect(figureOf([-5, 10])).toEqual({ us: 5, low: 0, high: 10 });
  });
});

describe('portico calibrate', () => {
  const calibrate = (...args: string[]): Promise<unknown> =>
    run(process.execPath, ['services/cost/calibrate.ts', ...args], { cwd: ROOT });

  it('says what is wrong with the Python that it is given, in one line', async () => {
    await expect(calibrate('--python', '/no/such/python')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^portico calibrate: cannot run \/no\/such\/python: .*ENOENT\n$/),
    });
  });

  it('refuses a wrong command line', async () => {
    await expect(calibrate('--pyton')).rejects.toMatchObject({ code: 2 });
    await expect(calibrate('--rounds', '0')).rejects.toMatchObject({
      code: 1,
      stderr: 'portico calibrate: --rounds 0: not a number from 1\n',
    });
  });

  it('knows the figures that its help promises', async () => {
    const { stdout } = (await calibrate('--help')) as { stdout: string };
    expect(stdout).toContain('Usage: portico calibrate');
    expect(readFileSync(path.join(ROOT, 'services/cost/default-profile.json'), 'utf8')).toContain('"fastapi.def"');
  });
});
