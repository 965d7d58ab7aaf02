// `portico sweep`: the same load over a grid of topologies. Rounds go over all cells, every second one backwards, so that a
// machine that gets slower or faster is no topology's fault; each run ends in the result file.
import { writeFileSync } from 'node:fs';
import { runLoad } from '../engine/run.ts';
import { CpuLanes } from '../rig/cpu-lanes.ts';
import { familyOf, residentBytes } from '../rig/processes.ts';
import { ProgramError } from '../rig/program.ts';
import { Rig } from '../rig/rig.ts';
import { plannedRequest, rate, users, usualPlan } from '../scenarios/workbench.ts';
import { SweepProgress } from './progress.ts';
import {
  type Cell,
  cellsOf,
  type FinishedRun,
  keyOf,
  openSweepFile,
  type SweepFile,
  writeSweepFile,
} from './result-file.ts';
import { HELP, type SweepPlan, sweepPlan } from './sweep-plan.ts';
import { sweepCsv, sweepText } from './text.ts';
import { bringUp, type Topology } from './topology.ts';
import { sweepRows, verdictOf } from './verdict.ts';

const INTERRUPTED = 130;

interface Visit {
  readonly repeat: number;
  readonly topology: Topology;
  readonly cells: readonly Cell[];
}

/** What is left to do: one topology after another, so that each is brought up once a round. */
function visitsOf(plan: SweepPlan, file: SweepFile): Visit[] {
  const isDone = new Set(file.runs.map(({ cell, repeat }) => `${repeat} ${keyOf(cell)}`));
  const all = cellsOf(plan);
  const visits: Visit[] = [];
  for (let repeat = 0; repeat < plan.repeat; repeat++) {
    const order = repeat % 2 === 0 ? plan.topologies : plan.topologies.toReversed();
    for (const topology of order) {
      const cells = all.filter((cell) => cell.topology === topology && !isDone.has(`${repeat} ${keyOf(cell)}`));
      if (cells.length > 0) visits.push({ repeat, topology, cells });
    }
  }
  return visits;
}

async function runCell(
  plan: SweepPlan,
  cell: Cell,
  up: { url: string; pids: number[] },
  signal: AbortSignal,
): Promise<Omit<FinishedRun, 'repeat'>> {
  const seconds = plan.durationMs / 1000;
  const { model, level } = cell.level;
  const lanes = new CpuLanes(up.pids);
  const load = usualPlan(`${cell.path} at ${level}`, [plannedRequest(`${up.url}${cell.path}`)], {
    ...(model === 'closed' ? users(level, seconds) : rate(level, seconds)),
    warmupMs: plan.warmupMs,
    timeoutMs: plan.timeoutMs,
  });
  const measured = await runLoad(load, { signal, topology: { ...cell.topology, path: cell.path } });
  const seen = lanes.finish();
  return {
    cell,
    residentBytes: residentBytes(familyOf(up.pids)),
    result: { ...measured, lanes: measured.lanes ?? seen },
  };
}

async function visit(
  plan: SweepPlan,
  { topology, cells, repeat }: Visit,
  signal: AbortSignal,
  onRun: (run: FinishedRun) => void,
): Promise<void> {
  const rig = new Rig();
  try {
    const up = await bringUp(rig, topology);
    for (const cell of cells) {
      signal.throwIfAborted();
      const run = await runCell(plan, cell, up, signal);
      signal.throwIfAborted();
      onRun({ ...run, repeat });
    }
  } finally {
    await rig.close();
  }
}

async function sweep(plan: SweepPlan): Promise<number> {
  const file = openSweepFile(plan);
  const cells = cellsOf(plan);
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  const progress = new SweepProgress(cells.length * plan.repeat, file.runs.length, process.stderr);
  try {
    for (const one of visitsOf(plan, file)) {
      stop.signal.throwIfAborted();
      await visit(plan, one, stop.signal, (run) => {
        file.runs.push(run);
        writeSweepFile(plan.out, file);
        progress.finished(run);
      });
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  }
  const rows = sweepRows(cells, file.runs, plan.slo);
  const verdict = verdictOf(rows, plan.slo, file.runs.length >= cells.length * plan.repeat);
  if (plan.csv !== undefined) writeFileSync(plan.csv, sweepCsv(rows));
  if (plan.isJson)
    process.stdout.write(`${JSON.stringify({ rows: rows.map(({ result: _, ...row }) => row), verdict }, null, 1)}\n`);
  else process.stdout.write(sweepText(rows, verdict));
  if (stop.signal.aborted) {
    process.stderr.write(
      `portico sweep: interrupted after ${file.runs.length} of ${cells.length * plan.repeat} runs; the same command goes on with the rest\n`,
    );
    return INTERRUPTED;
  }
  return verdict !== undefined && verdict.best === undefined ? 1 : 0;
}

/** Runs the command line (without node and the file); gives the exit status. */
export async function sweepCommand(argv: readonly string[]): Promise<number> {
  try {
    const plan = sweepPlan(argv);
    if (plan === undefined) {
      process.stdout.write(HELP);
      return 0;
    }
    return await sweep(plan);
  } catch (error) {
    if (error instanceof RangeError) {
      process.stderr.write(`portico sweep: ${error.message}\nTry 'portico sweep --help'.\n`);
      return 2;
    }
    if (!(error instanceof ProgramError) && (error as NodeJS.ErrnoException).syscall === undefined) throw error;
    process.stderr.write(`portico sweep: ${(error as Error).message}\n`);
    return 1;
  }
}
