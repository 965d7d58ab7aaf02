// What a sweep will do: topologies times workloads times levels, so often. From flags or from a file with the same names, each
// mistake told with its flag, or FILE:LINE: FIELD.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { parseThreshold, type Threshold } from '../measure/thresholds.ts';
import { parseCount, parseDuration, parseRate } from '../units.ts';
import { AXES, AXIS_NAMES, type Axis, axisValues, type Topology, topologies } from './topology.ts';

export interface Level {
  readonly model: 'closed' | 'open';
  readonly level: number;
}

export interface SweepPlan {
  readonly topologies: readonly Topology[];
  readonly paths: readonly string[];
  readonly levels: readonly Level[];
  readonly durationMs: number;
  readonly warmupMs: number;
  readonly repeat: number;
  readonly timeoutMs: number;
  readonly slo: readonly Threshold[];
  readonly out: string;
  readonly csv: string | undefined;
  readonly isFresh: boolean;
  readonly isJson: boolean;
}

/** Every field that is no axis: how it is read is in sweepPlan(). */
const FIELDS = {
  path: 'what to ask for; several, separated by commas (default /)',
  connections: 'closed loop: numbers of connections (default 16)',
  rate: 'open loop: rates, requests/s',
  duration: 'of one run (default 3s)',
  warmup: 'before each run, not counted (default 500ms)',
  repeat: 'runs of each cell, the median counts (default 3)',
  'request-timeout': 'give a request up (default 30s)',
  slo: "what is good enough: 'p99<250ms,errors<0.1%'",
  at: 'at this rate; the same as --rate with one value',
  out: 'the result file (default sweep.json); finished runs in it are not run again',
  csv: 'the table as CSV in this file',
} as const;

type Field = keyof typeof FIELDS;
type Texts = Partial<Record<Field | Axis, string>>;
type Read = <T>(field: Field | Axis, parse: (text: string) => T) => T | undefined;

export const HELP = `Usage: portico sweep [OPTIONS] [FILE.yml]

Runs the same load over a grid of topologies, each brought up and taken down, interleaved and repeated, and says which is the
cheapest that is good enough. An interrupted sweep goes on where it was when the same command is run again.

The grid, each with one value or several: --workers 1,2,4
${AXIS_NAMES.map((axis) => `      --${axis.padEnd(16)} ${AXES[axis].meaning} (${AXES[axis].example}; default ${AXES[axis].usual})`).join('\n')}

The load
${Object.entries(FIELDS)
  .map(([field, meaning]) => `      --${field.padEnd(16)} ${meaning}`)
  .join('\n')}
      --fresh            forget what the result file has
      --json             the table and verdict as JSON on standard output
  -h, --help             this text

A FILE.yml has the same names: workers: [1, 2], class: [sync, gthread], path: /io?ms=50, slo: 'p99<250ms'. Flags win.

Exit status: 0, 1 when no topology meets --slo or one could not be brought up, 2 for a wrong command line, 130 after Ctrl-C.

Examples:
  portico sweep --class sync,gthread --workers 1,2,4 --threads 1,4 --path '/io?ms=50' --connections 16
  portico sweep --workers 1,2,4 --path '/cpu?ms=10' --slo 'p99<250ms,errors<0.1%' --at 100rps --csv sizes.csv
`;

/** Reads the command line; undefined when help is asked for. Throws RangeError. */
export function sweepPlan(argv: readonly string[]): SweepPlan | undefined {
  const names = [...AXIS_NAMES, ...(Object.keys(FIELDS) as Field[])];
  let parsed: { values: Record<string, string | boolean | undefined>; positionals: string[] };
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        ...Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
        fresh: { type: 'boolean' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }) as typeof parsed;
  } catch (error) {
    // The first sentence; the next ones of Node are about the parser.
    throw new RangeError((error as Error).message.split('. ')[0]);
  }
  const { values, positionals } = parsed;
  if (values['help'] === true) return undefined;
  if (positionals.length > 1) throw new RangeError('give at most one sweep file');
  const file = positionals[0] === undefined ? undefined : readSweepFile(positionals[0], names);
  const flags = values as Texts;
  const read: Read = (field, parse) => {
    const flag = flags[field];
    if (flag !== undefined) return told(`--${field}`, () => parse(flag));
    const given = file?.get(field);
    return given === undefined ? undefined : told(given.at, () => parse(given.text));
  };
  return planOf(read, values['fresh'] === true, values['json'] === true);
}

function planOf(read: Read, isFresh: boolean, isJson: boolean): SweepPlan {
  const grid: Partial<Record<Axis, string[]>> = {};
  for (const axis of AXIS_NAMES) {
    const given = read(axis, (text) => axisValues(axis, text));
    if (given !== undefined) grid[axis] = given;
  }
  const list =
    <T>(parse: (text: string) => T) =>
    (text: string): T[] =>
      text.split(',').map((part) => parse(part.trim()));
  const rates = read('at', list(parseRate)) ?? read('rate', list(parseRate));
  const connections = read(
    'connections',
    list((text) => parseCount(text, 1)),
  ) ?? [16];
  const levels: Level[] = (rates ?? connections).map((level) => ({
    model: rates === undefined ? 'closed' : 'open',
    level,
  }));
  if (levels.some(({ level }) => !(level > 0))) throw new RangeError('--rate: nothing would be sent');
  const slo = read('slo', list(parseThreshold)) ?? [];
  return {
    topologies: topologies(grid),
    paths: read('path', list(parsePath)) ?? ['/'],
    levels,
    durationMs: read('duration', parseDuration) ?? 3000,
    warmupMs: read('warmup', parseDuration) ?? 500,
    repeat: read('repeat', (text) => parseCount(text, 1)) ?? 3,
    timeoutMs: read('request-timeout', parseDuration) ?? 30_000,
    slo,
    out: read('out', (text) => text) ?? 'sweep.json',
    csv: read('csv', (text) => text),
    isFresh,
    isJson,
  };
}

function parsePath(text: string): string {
  if (!/^\/[^\s]*$/.test(text)) throw new RangeError(`"${text}" is no path; write /io?ms=50`);
  return text;
}

function told<T>(where: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new RangeError(`${where}: ${(error as Error).message}`);
  }
}

function readSweepFile(path: string, names: readonly string[]): Map<string, { text: string; at: string }> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new RangeError((error as Error).message);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (node: Node | null | undefined): string =>
    `${path}:${node?.range ? lines.linePos(node.range[0]).line : 1}`;
  const [broken] = document.errors;
  if (broken !== undefined) throw new RangeError(`${path}:${lines.linePos(broken.pos[0]).line}: ${broken.message}`);
  const root = document.contents;
  if (!isMap(root)) throw new RangeError(`${path}:1: file: must be a mapping, as in workers: [1, 2]`);
  const found = new Map<string, { text: string; at: string }>();
  for (const { key, value } of root.items) {
    const name = String((key as { value?: unknown }).value);
    const at = `${place(key as Node)}: ${name}`;
    if (!names.includes(name)) throw new RangeError(`${at}: is no field; there are: ${names.join(', ')}`);
    const items = isSeq(value) ? value.items : [value];
    // YAML reads a bare on as text or as true, by its version; both mean the same here.
    const texts = items.map((item) => {
      if (!isScalar(item) || item.value === null) throw new RangeError(`${at}: must be a value or a list of values`);
      return item.value === true ? 'on' : item.value === false ? 'off' : String(item.value);
    });
    found.set(name, { text: texts.join(','), at });
  }
  return found;
}
