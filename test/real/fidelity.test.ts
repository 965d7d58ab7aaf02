// `npm run fidelity` in small: the grid's command line, its figures, the files that it leaves, and that a second run goes on with the
// first. What the figures say about the two stacks is no business of a test; here they only have to be there, and add up.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Cell } from '../../bench/fidelity/grid.ts';
import { picture } from '../../bench/fidelity/picture.ts';
import { SERIES, type Series } from '../../bench/fidelity/stacks.ts';
import { reportText } from '../../bench/fidelity/text.ts';
import { cellFigures, judge, type Run } from '../../bench/fidelity/verdict.ts';
import { ROOT } from '../services/server-process.ts';
import { findBin } from './app-servers/peers.ts';

const bin = findBin();
if (typeof bin !== 'string') console.log(`fidelity: skipped, ${bin.reason}`);
const out = mkdtempSync(path.join(tmpdir(), 'portico-fidelity-'));
afterAll(() => rmSync(out, { recursive: true, force: true }));

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function fidelity(...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, ['bench/fidelity/main.ts', ...args], { cwd: ROOT });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => {
    stdout += bytes.toString();
  });
  child.stderr.on('data', (bytes: Buffer) => {
    stderr += bytes.toString();
  });
  return new Promise((done) => child.on('close', (status) => done({ status, stdout, stderr })));
}

/** Runs of one cell: a rate for each series and repeat. */
function runsOf(cell: Cell, rates: Readonly<Record<Series, readonly number[]>>): Run[] {
  return SERIES.flatMap((series) =>
    rates[series].map((requestsPerSecond, repeat): Run => {
      const latency = 1000 / requestsPerSecond;
      return { cell, series, repeat, requestsPerSecond, p50: latency, p95: latency, requests: 10, errors: 0 };
    }),
  );
}

describe('the figures', () => {
  const steady = { topology: 'sync x1', work: 'hello', connections: 1 };
  const off = { topology: 'sync x1', work: 'hello', connections: 4 };
  const cells = cellFigures([
    ...runsOf(steady, { real: [90, 100, 110], again: [104, 104, 104], ours: [99, 98, 97] }),
    ...runsOf(off, { real: [100, 100, 100], again: [100, 100, 100], ours: [60, 60, 60] }),
  ]);

  it('are medians, spreads, and differences from the real stack', () => {
    const [first] = cells;
    expect(first).toMatchObject({ cell: steady, repeats: 3, errors: { real: 0, again: 0, ours: 0 } });
    const { medians, spreads, control, ours } = first!.figures.requestsPerSecond;
    expect(medians).toEqual({ real: 100, again: 104, ours: 98 });
    expect(spreads.real).toBeCloseTo(0.2);
    expect(control).toBeCloseTo(0.04);
    expect(ours).toBeCloseTo(0.02);
  });

  it('are judged against the control, in the median cell and at the 95th percentile', () => {
    const rates = judge(cells).filter(({ measure }) => measure === 'requestsPerSecond');
    expect(rates.map(({ at, isMet }) => [at, isMet])).toEqual([
      ['median cell', false],
      ['95th percentile', false],
    ]);
    expect(rates[0]!.limit).toBeCloseTo(0.07);
    expect(judge(cells.slice(0, 1)).every(({ isMet }) => isMet)).toBe(true);
  });

  it('are told as they are: what is missed, and which cells are to blame', () => {
    const missed = reportText(cells, judge(cells), []);
    expect(missed).toContain(
      '0 of 6 targets met; missed: requests/s at the median cell (21.0%, allowed 7.0%), requests/s',
    );
    expect(missed).toMatch(/^\| requests\/s +\| sync x1 +\| hello +\| +4 \| +0\.0% \| +40\.0% \| +18\.8% \|$/m);
    const met = reportText(cells.slice(0, 1), judge(cells.slice(0, 1)), []);
    expect(met).toContain('6 of 6 targets met.');
    expect(met).toContain('## Cells that are farther off than the 95th percentile may be\n\nNone.');
  });

  it('leave out a cell that a series has not yet', () => {
    const runs = runsOf(steady, { real: [1], again: [1], ours: [] });
    expect(cellFigures(runs)).toEqual([]);
    expect(judge([])).toEqual([]);
  });

  it('make a picture that is one well-formed file', () => {
    const text = picture(cells, 'p50', 'latency <p50>');
    expect(text).toMatch(/^<svg .*<\/svg>\n$/s);
    expect(text).toContain('latency &lt;p50>');
    expect(text).not.toContain('NaN');
  });
});

describe('the command line', () => {
  it('says what it measures', async () => {
    const help = await fidelity('--help');
    expect(help.status).toBe(0);
    expect(help.stdout).toContain('Usage: npm run fidelity');
    const list = await fidelity('--list');
    expect(list.stdout.trim().split('\n')).toHaveLength(10 * 5 * 4);
  });

  it.each([
    [['--topology', 'tornado'], '--topology "tornado": there are sync x1'],
    [['--connections', 'many'], '"many"'],
    [['--python', '/nothing/python'], 'cannot run /nothing/python'],
    [['--nothing'], "Unknown option '--nothing'"],
  ])('refuses %j in one sentence', async (args, sentence) => {
    const { status, stderr } = await fidelity(...args);
    expect(status).toBe(2);
    expect(stderr).toContain(sentence);
    expect(stderr.trim().split('\n')).toHaveLength(2);
  });
});

describe.skipIf(typeof bin !== 'string')('a small grid', () => {
  const small = ['--python', path.join(String(bin), 'python'), '--profile', 'default', '--repeat', '1'];
  const grid = [...small, '--duration', '150ms', '--work', 'hello', '--connections', '1', '--out', out];

  it('measures all three series, writes table and pictures, and goes on where it was', {
    timeout: 60_000,
  }, async () => {
    const first = await fidelity(...grid, '--topology', 'sync x1');
    expect(first.stderr).not.toContain('failed');
    const { runs } = JSON.parse(readFileSync(path.join(out, 'runs.json'), 'utf8')) as { runs: Run[] };
    expect(runs.map(({ series }) => series).sort()).toEqual(['again', 'ours', 'real']);
    for (const run of runs) {
      expect(run.errors).toBe(0);
      expect(run.requests).toBeGreaterThan(0);
      expect(run.p95).toBeGreaterThanOrEqual(run.p50);
    }
    const second = await fidelity(...grid, '--topology', 'sync x1,uvicorn x1 async');
    expect(second.stderr.match(/^\d+\/2, /gm)).toEqual(['2/2, ']);
    const table = readFileSync(path.join(out, 'fidelity.md'), 'utf8');
    for (const topology of ['sync x1', 'uvicorn x1 async'])
      expect(table).toMatch(new RegExp(`^\\| ${topology} +\\| hello +\\| +1 \\|`, 'm'));
    for (const name of ['requests', 'p50', 'p95'])
      expect(readFileSync(path.join(out, `${name}.svg`), 'utf8')).toContain('uvicorn x1 async');
    expect(second.stdout).toContain('over 2 cells');
  });
});
