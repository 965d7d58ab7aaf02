// `npm run fidelity`: the same load on the real Gunicorn and Uvicorn, on them once more, and on ours, over a grid of
// topologies, kinds of work and numbers of clients; in one run, interleaved and repeated. The second series of the real stack
// is the control: what differs between it and the first is this machine's noise.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { PROJECT } from '../../load/rig/program.ts';
import { parseCount, parseDuration } from '../../load/units.ts';
import { isUsageError } from '../usage.ts';
import { type Cell, CONNECTIONS, keyOf, TOPOLOGIES, type Topology, WORKS } from './grid.ts';
import { picture } from './picture.ts';
import { versionsOf } from './python.ts';
import { Driver, SERIES, type Series, type Server, startServer } from './stacks.ts';
import { reportText, verdictText } from './text.ts';
import { cellFigures, judge, type Run } from './verdict.ts';

const HELP = `Usage: npm run fidelity -- [options]

Asks the real Gunicorn and Uvicorn, the same once more as a control, and ours for the same, over a grid of topologies, work
and clients, and says how far ours is from the real ones beside how far they are from themselves. Takes about an hour, in
which the machine should do nothing else; an interrupted run goes on where it was when the same command is run again.

  --python PROGRAM    a Python with gunicorn, uvicorn, flask and fastapi (default: that of $PORTICO_REAL_VENV, else python3)
  --profile FILE      the cost profile of ours; "default" is the one that ships (default: measured before each repeat, as
                      portico calibrate does, since the machine may be quicker at one time than at another)
  --repeat N          runs of each cell and series; the median counts (default 5)
  --duration TIME     of one run (default 1s; that of hello is 0.6 of it)
  --topology TEXT     only topologies whose name begins with one of these, separated by commas
  --work TEXT         only these kinds of work
  --connections LIST  only these numbers of clients (default ${CONNECTIONS.join(',')})
  --out DIRECTORY     where runs.json, fidelity.md and the pictures go (default bench/results/fidelity)
  --fresh             forget the runs that the directory has
  --list              print the cells
  -h, --help          this text

Exit status: 0 when all targets are met, 1 when one is missed or a server does not start, 2 for a wrong command line, 130
after Ctrl-C.

Examples:
  npm run fidelity -- --python ~/venv/bin/python
  npm run fidelity -- --topology sync,gthread --work cpu10 --connections 4,16 --repeat 3 --out /tmp/cpu
`;

const HELLO_SHARE = 0.6;
/**
 * Before a server is measured: everything once, and where there are pools of threads, until each worker has all of its own, however
 * unevenly it gets connections, and each of those has done everything once.
 */
const WARM_UP = [{ work: WORKS.at(-1)!, connections: 16, ms: 500 }];
const WARM_UP_POOLS = [
  { work: WORKS.find(({ name }) => name === 'io50')!, connections: 160, ms: 4000 },
  { work: WORKS.at(-1)!, connections: 160, ms: 3000 },
];
const INTERRUPTED = 130;

interface Plan {
  readonly python: string;
  readonly profile: string | undefined;
  readonly repeat: number;
  readonly ms: number;
  readonly cells: readonly Cell[];
  readonly out: string;
  readonly isFresh: boolean;
}

interface RunsFile {
  readonly format: 'portico-fidelity/1';
  readonly ms: number;
  readonly startedAt: string;
  readonly loads: number[];
  readonly runs: Run[];
}

/** The command line; undefined when nothing is left to do. Throws RangeError. */
function planOf(argv: readonly string[]): Plan | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      python: { type: 'string' },
      profile: { type: 'string' },
      repeat: { type: 'string', default: '5' },
      duration: { type: 'string', default: '1s' },
      topology: { type: 'string' },
      work: { type: 'string' },
      connections: { type: 'string' },
      out: { type: 'string', default: 'bench/results/fidelity' },
      fresh: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return undefined;
  }
  const chosen = <T extends { name: string }>(flag: string, text: string | undefined, all: readonly T[]): T[] => {
    const wanted = text?.split(',').map((part) => part.trim());
    const found = all.filter(({ name }) => wanted?.some((part) => name.startsWith(part)) ?? true);
    if (found.length > 0) return found;
    throw new RangeError(`${flag} "${text}": there are ${all.map(({ name }) => name).join(', ')}`);
  };
  const topologies = chosen('--topology', values.topology, TOPOLOGIES);
  const works = chosen('--work', values.work, WORKS);
  const connections = values.connections?.split(',').map((text) => parseCount(text.trim(), 1)) ?? CONNECTIONS;
  const cells = topologies.flatMap(({ name: topology }) =>
    connections.flatMap((count) => works.map(({ name: work }) => ({ topology, work, connections: count }))),
  );
  if (values.list) {
    for (const cell of cells) process.stdout.write(`${keyOf(cell)}\n`);
    return undefined;
  }
  const venv = process.env['PORTICO_REAL_VENV'];
  return {
    python: values.python ?? (venv === undefined ? 'python3' : path.join(venv, 'bin', 'python')),
    profile: values.profile,
    repeat: parseCount(values.repeat, 1),
    ms: parseDuration(values.duration),
    cells,
    out: values.out,
    isFresh: values.fresh,
  };
}

/** The file of the cost profile that ours shall use in a repeat, measured now if none is named or left from the run that goes on. */
async function costProfile(plan: Plan, repeat: number): Promise<string | undefined> {
  if (plan.profile === 'default') return undefined;
  if (plan.profile !== undefined) return path.resolve(plan.profile);
  const file = path.resolve(plan.out, `cost-${repeat + 1}.json`);
  if (existsSync(file) && !plan.isFresh) return file;
  process.stderr.write('measuring what running Python costs here, as portico calibrate does\n');
  const program = path.join(PROJECT, 'services', 'cost', 'calibrate.ts');
  const child = spawn(process.execPath, [program, '-p', plan.python, '-o', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [status] = await once(child, 'exit');
  if (status !== 0) throw new RangeError(`portico calibrate ended with ${status}`);
  return file;
}

function openRuns(plan: Plan): RunsFile {
  const file = path.join(plan.out, 'runs.json');
  const fresh: RunsFile = {
    format: 'portico-fidelity/1',
    ms: plan.ms,
    startedAt: new Date().toISOString(),
    loads: [],
    runs: [],
  };
  if (plan.isFresh || !existsSync(file)) return fresh;
  const found = JSON.parse(readFileSync(file, 'utf8')) as RunsFile;
  if (found.format === fresh.format && found.ms === plan.ms) return found;
  throw new RangeError(`${file} has runs of another kind; give another --out, or --fresh to forget them`);
}

function writeWhole(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

class Fidelity {
  readonly #plan: Plan;
  readonly #file: RunsFile;
  readonly #driver = new Driver();
  readonly #signal: AbortSignal;
  readonly #startMs = performance.now();
  readonly #all: number;
  readonly #before: number;

  constructor(plan: Plan, file: RunsFile, signal: AbortSignal) {
    this.#plan = plan;
    this.#file = file;
    this.#signal = signal;
    this.#all = plan.cells.length * plan.repeat;
    this.#before = file.runs.length / SERIES.length;
  }

  async run(): Promise<void> {
    try {
      for (let repeat = 0; repeat < this.#plan.repeat; repeat++) {
        const left = this.#left(repeat);
        if (left.length === 0) continue;
        const profile = await costProfile(this.#plan, repeat);
        if (profile !== undefined) process.env['PORTICO_COST_PROFILE'] = profile;
        const order = repeat % 2 === 0 ? TOPOLOGIES : TOPOLOGIES.toReversed();
        for (const topology of order) {
          const cells = left.filter((cell) => cell.topology === topology.name);
          if (cells.length > 0) await this.#visit(topology, cells, repeat);
        }
      }
    } finally {
      await this.#driver.stop();
    }
  }

  #left(repeat: number): Cell[] {
    const isDone = new Set(this.#file.runs.filter((run) => run.repeat === repeat).map(({ cell }) => keyOf(cell)));
    return this.#plan.cells.filter((cell) => !isDone.has(keyOf(cell)));
  }

  /** The three servers of a topology, up at the same time, asked in turn. */
  async #visit(topology: Topology, cells: readonly Cell[], repeat: number): Promise<void> {
    const servers = new Map<Series, Server>();
    this.#file.loads.push(os.loadavg()[0]!);
    try {
      for (const series of SERIES) {
        this.#signal.throwIfAborted();
        const server = await startServer(series, topology, this.#plan.python);
        servers.set(series, server);
        for (const { work, connections, ms } of topology.prefix === '' ? WARM_UP : WARM_UP_POOLS)
          await this.#driver.drive(server, topology, work, connections, ms, repeat);
      }
      for (const [index, cell] of cells.entries()) {
        await this.#cell(topology, cell, servers, repeat, index);
      }
    } finally {
      await Promise.all([...servers.values()].map(({ program }) => program.stop()));
    }
  }

  async #cell(
    topology: Topology,
    cell: Cell,
    servers: ReadonlyMap<Series, Server>,
    repeat: number,
    index: number,
  ): Promise<void> {
    const work = WORKS.find(({ name }) => name === cell.work)!;
    const ms = cell.work === 'hello' ? this.#plan.ms * HELLO_SHARE : this.#plan.ms;
    const runs: Run[] = [];
    // None is always the first, or always behind the same one.
    const turn = (index + repeat) % SERIES.length;
    for (const series of [...SERIES.slice(turn), ...SERIES.slice(0, turn)]) {
      this.#signal.throwIfAborted();
      const seed = repeat + 1;
      const told = await this.#driver.drive(servers.get(series)!, topology, work, cell.connections, ms, seed);
      runs.push({ cell, series, repeat, ...told });
    }
    this.#file.runs.push(...runs);
    writeWhole(path.join(this.#plan.out, 'runs.json'), `${JSON.stringify(this.#file)}\n`);
    this.#tell(runs);
  }

  #tell(runs: readonly Run[]): void {
    const done = this.#file.runs.length / SERIES.length;
    const each = (performance.now() - this.#startMs) / (done - this.#before);
    const left = Math.round(((this.#all - done) * each) / 60_000);
    const rates = SERIES.map((series) => {
      const run = runs.find((one) => one.series === series)!;
      return `${series} ${run.requestsPerSecond.toFixed(1)}${run.errors > 0 ? ` (${run.errors} failed)` : ''}`;
    });
    const { topology, work, connections } = runs[0]!.cell;
    process.stderr.write(
      `${done}/${this.#all}, ${left} min left: ${topology}, ${work}, ${connections} connections: ${rates.join(', ')} requests/s\n`,
    );
  }
}

/** Writes the table and the pictures; gives whether every target is met. */
function report(plan: Plan, file: RunsFile, versions: Record<string, string>): boolean {
  const place = new Map(plan.cells.map((cell, index) => [keyOf(cell), index]));
  const placeOf = (cell: Cell): number => place.get(keyOf(cell)) ?? place.size;
  const cells = cellFigures(file.runs).sort((one, other) => placeOf(one.cell) - placeOf(other.cell));
  const judgements = judge(cells);
  const cpus = os.cpus();
  const about = [
    `begun ${file.startedAt}, ended ${new Date().toISOString()}`,
    `${cpus[0]?.model.trim() || 'unknown processor'}, ${cpus.length} cores, ${os.type()} ${os.release()}, Node ${process.versions.node}`,
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
    `${Math.min(...cells.map(({ repeats }) => repeats))} repeats of ${file.ms} ms (hello: ${file.ms * HELLO_SHARE} ms), medians; closed loop, direct to the app server; Gunicorn with a connection for each request, Uvicorn on kept ones`,
    `load average when a topology came up: ${Math.min(...file.loads).toFixed(1)} to ${Math.max(...file.loads).toFixed(1)} (the runs themselves make some)`,
    `cost profile: ${plan.profile === 'default' ? 'the one that ships' : path.basename(plan.profile ?? 'measured before each repeat')}`,
  ];
  writeWhole(path.join(plan.out, 'fidelity.md'), `${reportText(cells, judgements, about)}\n`);
  writeWhole(
    path.join(plan.out, 'requests.svg'),
    picture(cells, 'requestsPerSecond', 'Requests/s by number of clients'),
  );
  writeWhole(path.join(plan.out, 'p50.svg'), picture(cells, 'p50', 'Median latency by number of clients'));
  writeWhole(path.join(plan.out, 'p95.svg'), picture(cells, 'p95', '95th percentile of latency by number of clients'));
  process.stdout.write(`${verdictText(judgements, cells.length)}\nAll cells and pictures: ${plan.out}\n`);
  return judgements.every(({ isMet }) => isMet);
}

async function main(argv: readonly string[]): Promise<number> {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  process.once('SIGTERM', () => stop.abort());
  try {
    const plan = planOf(argv);
    if (plan === undefined) return 0;
    const versions = versionsOf(plan.python);
    mkdirSync(plan.out, { recursive: true });
    const file = openRuns(plan);
    process.env['PYTHONDONTWRITEBYTECODE'] = '1';
    process.env['PYTHONUNBUFFERED'] = '1';
    try {
      await new Fidelity(plan, file, stop.signal).run();
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    }
    const isMet = file.runs.length > 0 && report(plan, file, versions);
    if (stop.signal.aborted) {
      process.stderr.write('fidelity: interrupted; the same command goes on with the rest\n');
      return INTERRUPTED;
    }
    return isMet ? 0 : 1;
  } catch (error) {
    const isUsage = isUsageError(error);
    process.stderr.write(`fidelity: ${(error as Error).message}\n`);
    if (isUsage) process.stderr.write("Try 'npm run fidelity -- --help'.\n");
    return isUsage ? 2 : 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
