// Reads what load, sweep and scenarios have written, and makes one list of named runs of it.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { LoadResult } from '../measure/result.ts';
import type { SweepFile } from '../sweep/result-file.ts';
import { describe, sweepRows } from '../sweep/verdict.ts';

/** A run of the report. */
export interface NamedRun {
  readonly label: string;
  /** Runs of a group differ in their level only: they make a curve. */
  readonly group: string;
  readonly result: LoadResult;
}

/** Reads files. Throws RangeError with the file's name when one is no result. */
export function readResults(paths: readonly string[]): NamedRun[] {
  const runs = paths.flatMap((path) => readResult(path, paths.length > 1));
  const seen = new Map<string, number>();
  return runs.map((run) => {
    const count = (seen.get(run.label) ?? 0) + 1;
    seen.set(run.label, count);
    return count === 1 ? run : { ...run, label: `${run.label} (${count})` };
  });
}

function readResult(path: string, isOneOfSeveral: boolean): NamedRun[] {
  let content: { format?: string; results?: LoadResult[] } & Partial<LoadResult>;
  try {
    content = JSON.parse(readFileSync(path, 'utf8')) as typeof content;
  } catch (error) {
    throw new RangeError(`${path}: ${(error as Error).message}`);
  }
  const name = basename(path).replace(/\.json$/, '');
  if (content.format === 'portico-load/1') {
    const result = content as LoadResult;
    return [{ label: isOneOfSeveral ? name : result.name, group: name, result }];
  }
  if (content.format === 'portico-sweep/1') {
    const { runs } = content as unknown as SweepFile;
    const cells = [...new Map(runs.map(({ cell }) => [JSON.stringify(cell), cell])).values()];
    const rows = sweepRows(cells, runs, []);
    const paths = new Set(cells.map(({ path: one }) => one));
    return rows.map((row) => {
      const { topology, path: target, level } = row.cell;
      const group = `${isOneOfSeveral ? `${name}: ` : ''}${describe(topology, rows)}${paths.size > 1 ? `, ${target}` : ''}`;
      return {
        label: `${group}, ${level.level}${level.model === 'closed' ? ' connections' : '/s'}`,
        group,
        result: row.result,
      };
    });
  }
  if (Array.isArray(content.results) && content.results.every(({ format }) => format === 'portico-load/1')) {
    return content.results.map((result) => ({
      label: isOneOfSeveral ? `${name}: ${result.name}` : result.name,
      group: result.name,
      result,
    }));
  }
  throw new RangeError(`${path} is no result of portico load or portico sweep`);
}
