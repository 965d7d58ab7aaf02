// The result file of a sweep: the finished runs, written after each of them, so that an interrupted sweep can go on.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { LoadResult } from '../measure/result.ts';
import type { Level, SweepPlan } from './sweep-plan.ts';
import type { Topology } from './topology.ts';

/** A cell of the grid. */
export interface Cell {
  readonly topology: Topology;
  readonly path: string;
  readonly level: Level;
}

export interface FinishedRun {
  readonly cell: Cell;
  readonly repeat: number;
  readonly residentBytes: number;
  readonly result: LoadResult;
}

export interface SweepFile {
  readonly format: 'portico-sweep/1';
  /** What makes two sweeps the same one. */
  readonly signature: string;
  readonly runs: FinishedRun[];
}

/** All cells, those of a topology together. */
export function cellsOf(plan: SweepPlan): Cell[] {
  return plan.topologies.flatMap((topology) =>
    plan.paths.flatMap((path) => plan.levels.map((level) => ({ topology, path, level }))),
  );
}

/** A cell as a text that identifies it. */
export function keyOf({ topology, path, level }: Cell): string {
  return JSON.stringify([topology, path, level.model, level.level]);
}

/** The file as it is, or a new one. Throws RangeError when it holds something else. */
export function openSweepFile(plan: SweepPlan): SweepFile {
  const signature = JSON.stringify([cellsOf(plan).map(keyOf), plan.durationMs, plan.warmupMs, plan.timeoutMs]);
  if (plan.isFresh || !existsSync(plan.out)) return { format: 'portico-sweep/1', signature, runs: [] };
  let found: SweepFile;
  try {
    found = JSON.parse(readFileSync(plan.out, 'utf8')) as SweepFile;
  } catch (error) {
    throw new RangeError(`${plan.out}: ${(error as Error).message}`);
  }
  if (found.format !== 'portico-sweep/1')
    throw new RangeError(`${plan.out} is not the result of a sweep; give another file with --out`);
  if (found.signature !== signature)
    throw new RangeError(
      `${plan.out} has the result of another sweep; give another file with --out, or --fresh to overwrite it`,
    );
  return found;
}

/** Writes the file so that it is whole at any instant. */
export function writeSweepFile(path: string, file: SweepFile): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, `${JSON.stringify(file)}\n`);
  renameSync(temporary, path);
}
