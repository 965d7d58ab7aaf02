/**
 * What running Python costs, as named figures with their provenance: the one thing here that is modelled and not real. A profile is a JSON
 * file that `portico calibrate` has measured on the real stack; one measured while Portico was written is used unless
 * PORTICO_COST_PROFILE names another. Figures are CPU time in microseconds.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** The names of all figures, and what each is the cost of. */
export const FIGURES = {
  'sync.request': 'one request in a sync worker without its application: accept, parse, environ, response, log, close',
  'gthread.request':
    'the same in a gthread worker, its main thread included, whose threads wake each other on an idle core',
  'gthread.busy': 'the same while no core is idle: pinned to one',
  'uvicorn.request': 'one request on a kept-alive connection in Uvicorn without its application',
  'flask.request': 'what Flask adds to a request with an empty view',
  'fastapi.async': 'what FastAPI adds to a request of an empty `async def`',
  'fastapi.def': 'what FastAPI adds to a request of an empty `def`, which goes through the thread pool',
  'gil.switch': 'one forced change of hands of the GIL',
  'flask.boot': 'starting a Gunicorn worker, the import of Flask included',
  'fastapi.boot': 'starting a Uvicorn process, the interpreter and the import of FastAPI included',
} as const;

export type FigureName = keyof typeof FIGURES;

/** One figure: the median of the repeats, and the lowest and highest of them. */
export interface Figure {
  readonly us: number;
  readonly low: number;
  readonly high: number;
}

/** Figures and where they come from. */
export interface CostProfile {
  readonly name: string;
  readonly measured: {
    readonly date: string;
    readonly machine: string;
    readonly versions: Readonly<Record<string, string>>;
    readonly how: string;
    /** How many cores were idle while gthread.request was measured; a share of the whole cost is owed where fewer are. */
    readonly idleCores?: number | undefined;
    /** What may be wrong with the figures, such as other programs on the same machine. */
    readonly notes: readonly string[];
  };
  readonly figures: Readonly<Record<FigureName, Figure>>;
}

/** A profile that cannot be used; the message names the file and what is wrong with it. */
export class CostProfileError extends Error {
  override readonly name = 'CostProfileError';
}

// Where the command was typed; --chdir comes later.
const START_DIRECTORY = process.cwd();
const DEFAULT_PROFILE = new URL('./default-profile.json', import.meta.url);

/** Reads the profile in use. Throws CostProfileError. */
export function readCostProfile(env: NodeJS.ProcessEnv = process.env): CostProfile {
  const named = env['PORTICO_COST_PROFILE'];
  const file = named ? path.resolve(named) : DEFAULT_PROFILE;
  let profile: CostProfile;
  try {
    profile = JSON.parse(readFileSync(file, 'utf8')) as CostProfile;
  } catch (error) {
    throw new CostProfileError(`cost profile ${named}: ${(error as Error).message}`);
  }
  for (const name of Object.keys(FIGURES) as FigureName[]) {
    const us = profile.figures?.[name]?.us;
    if (typeof us !== 'number' || !(us >= 0)) {
      throw new CostProfileError(`cost profile ${named}: figures["${name}"].us is not a number of microseconds`);
    }
  }
  return profile;
}

/**
 * By how much the figures are multiplied: what --python-cost says, else PORTICO_PYTHON_COST, else 1; 0 is no cost of Python at all. Throws
 * CostProfileError when it is no such number.
 */
export function pythonCostFactor(typed: string | null, env: NodeJS.ProcessEnv = process.env): number {
  const text = typed ?? (env['PORTICO_PYTHON_COST'] || '1');
  const factor = Number(text);
  if (text.trim() !== '' && factor >= 0 && factor <= 1000) return factor;
  const name = typed === null ? 'PORTICO_PYTHON_COST' : '--python-cost';
  throw new CostProfileError(`${name}: '${text}' is not a number from 0 to 1000`);
}

/** For a master, before it starts workers: checks what they will read, and makes a relative path independent of --chdir. */
export function checkCostSettings(typed: string | null, env: NodeJS.ProcessEnv = process.env): void {
  const named = env['PORTICO_COST_PROFILE'];
  if (named) env['PORTICO_COST_PROFILE'] = path.resolve(START_DIRECTORY, named);
  if (pythonCostFactor(typed, env) > 0) readCostProfile(env);
}
