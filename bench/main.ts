// `npm run bench`: our proxy beside nginx, HAProxy, Caddy and Node's proxy libraries, and our app servers beside Gunicorn and
// Uvicorn, same machine, same run, interleaved. Server and load have a core each; answers are compared before anything is timed.
// The steadiest figure on a noisy machine is CPU time per request of all of the server's processes, so ratios of that to the
// original's are what counts.
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { parseCount } from '../load/units.ts';
import { AppServers, realAppServers, versionsOf } from './app-servers.ts';
import { CASES, type Case } from './cases.ts';
import { benchPage } from './chart.ts';
import { type Plan, runCase } from './measure.ts';
import { Arena, PEERS, type Peer, type RunningPeer } from './peers.ts';
import { hasProgram } from './processes.ts';
import { type BenchResults, type CaseResult, figure, HEAD, line, type StandingRow } from './results.ts';
import { standing } from './standing.ts';
import { isUsageError } from './usage.ts';

const HELP = `npm run bench -- [options]: measures the proxy beside nginx, HAProxy, Caddy and Node's proxy libraries, and the app
servers beside the real Gunicorn and Uvicorn

  --only TEXT       cases whose name holds TEXT; "standing" for start-up and idle connections alone
  --peers A,B       only these proxies, besides nginx and portico
  --duration N      seconds a measurement (default 5)
  --rounds N        measurements a case and peer, the median counts (default 3)
  --connections N   open connections (default 64)
  --idle N          idle connections whose memory is measured (default 10000, 0 for none)
  --workers N       worker processes of each peer that has them (default 1)
  --json FILE       write the figures too
  --chart FILE      draw them as a page that needs no network (default: beside the JSON, as .html)
  --list            print the cases

Peers that are not installed are left out, with a line that says how to install them. The real Gunicorn and Uvicorn are those of
the Python environment that PORTICO_REAL_VENV names.

CPU us/req is the CPU time of all of a server's processes by the requests that were answered; ratio is that by nginx's, or by
the real app server's. Our app servers run with --python-cost 0, so the ratio compares their own machinery with all that Python
does: below 1 it leaves room for the modeled cost of Python, above 1 ours costs more than what it stands for.

The case "2 workers against 1" runs each peer with one worker and with two, on all cores, with --connections for each worker, and
its ratio is by the same peer with one. Near 1, workers do not hinder each other: no lock, no shared table and no wake-up of the
wrong one costs time. It does not say that two workers serve twice as much: load, upstream and workers share the cores of this
machine, so compare no rates there. Workers that get connections unevenly are a little above 1: who has few takes few a turn.

Examples:
  npm run bench
  npm run bench -- --only keepalive --duration 10 --json bench/results/keepalive.json
  npm run bench -- --only static --peers caddy
  PORTICO_REAL_VENV=/path/to/venv npm run bench -- --only icorn
`;

/** Something with peers in it, which ends them. */
interface Contest {
  readonly dir: string;
  readonly running: readonly RunningPeer[];
  close(): Promise<void>;
}

/** Runs `body` with the peers up, and ends them however it ends. */
async function during(contest: Contest, open: () => Promise<void>, body: () => Promise<void>): Promise<void> {
  try {
    await open();
    await body();
  } finally {
    await contest.close();
  }
}

class Bench {
  readonly cases: CaseResult[] = [];
  readonly standing: StandingRow[] = [];
  readonly leftOut: string[] = [];
  readonly #plan: Plan;
  readonly #workers: number;
  readonly #peers: readonly Peer[];

  constructor(plan: Plan, workers: number, peers: readonly Peer[]) {
    this.#plan = plan;
    this.#workers = workers;
    for (const { missing } of peers) if (missing) this.leaveOut(missing);
    this.#peers = peers.filter(({ missing }) => !missing);
  }

  leaveOut(what: string): void {
    this.leftOut.push(what);
    process.stdout.write(`left out: ${what}\n`);
  }

  async proxies(cases: readonly Case[]): Promise<void> {
    // Cases with other workers or servers than usual have an arena of their own.
    for (const group of Map.groupBy(cases, (c) => `${c.scaledTo} ${c.servers}`).values()) {
      const { scaledTo = null, servers = 0 } = group[0]!;
      const needsWorkers = this.#workers > 1 || scaledTo !== null;
      const able = this.#peers.filter(({ can }) => !needsWorkers || can.includes('workers'));
      const those = servers > 0 ? able.filter(({ can }) => can.includes('gzip')) : able;
      const arena = new Arena();
      await during(
        arena,
        () => arena.open(those, { workers: this.#workers, scaledTo, servers }),
        async () => {
          for (const test of group) await this.#case(test, arena);
        },
      );
    }
  }

  async appServers(cases: readonly Case[], bin: string): Promise<void> {
    for (const test of cases) {
      const servers = new AppServers();
      await during(
        servers,
        () => servers.open(bin, test.appServer!),
        () => this.#case(test, servers),
      );
    }
  }

  async #case(test: Case, { running, dir }: Contest): Promise<void> {
    const rows = await runCase(test, running, this.#plan, dir);
    if (typeof rows === 'string') {
      this.leftOut.push(`${test.name}: ${rows}`);
      process.stdout.write(`${test.name.padEnd(30)} not measured: ${rows}\n`);
      return;
    }
    this.cases.push({ name: test.name, rows });
    for (const row of rows) process.stdout.write(`${line(test.name, row)}\n`);
  }

  async stand(idle: number): Promise<void> {
    process.stdout.write(`${'peer'.padEnd(19)} start ms  KB an idle connection (${idle})\n`);
    const arena = new Arena();
    await during(
      arena,
      () => arena.open(this.#peers, { workers: this.#workers, scaledTo: null, servers: 0 }),
      async () => {
        for (const running of arena.running) {
          const row = await standing(running, idle);
          this.standing.push(row);
          const [startMs, idleKb] = [figure(row.startMs, 0).padStart(8), figure(row.idleKb, 1).padStart(21)];
          process.stdout.write(`${row.peer.padEnd(19)} ${startMs}  ${idleKb}\n`);
        }
      },
    );
  }
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  process.stdout.write(`${file}\n`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      peers: { type: 'string' },
      duration: { type: 'string', default: '5' },
      rounds: { type: 'string', default: '3' },
      connections: { type: 'string', default: '64' },
      idle: { type: 'string', default: '10000' },
      workers: { type: 'string', default: '1' },
      json: { type: 'string' },
      chart: { type: 'string' },
      list: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const cases = CASES.filter((c) => !values.only || c.name.includes(values.only));
  if (values.list) {
    for (const { name } of cases) process.stdout.write(`${name}\n`);
    return 0;
  }
  for (const program of ['wrk', 'nginx']) {
    if (hasProgram(program)) continue;
    process.stderr.write(
      `bench: ${program} is needed and not installed (apt-get install ${program}); nothing was measured\n`,
    );
    return 1;
  }
  const startedAt = new Date().toISOString();
  const wanted = values.peers?.split(',');
  const peers = PEERS.filter(({ name }) => !wanted || ['nginx', 'portico', ...wanted].includes(name));
  const plan = {
    rounds: parseCount(values.rounds, 1),
    seconds: parseCount(values.duration, 1),
    connections: parseCount(values.connections, 1),
  };
  const proxies = cases.filter(({ appServer }) => !appServer);
  const appServers = cases.filter(({ appServer }) => appServer);
  const bench = new Bench(plan, parseCount(values.workers, 1), peers);
  const real = appServers.length > 0 ? realAppServers() : undefined;
  if (real && 'missing' in real) bench.leaveOut(real.missing);
  if (real && 'bin' in real) process.stdout.write(`app servers: ${versionsOf(real.bin)}\n`);
  if (cases.length > 0) process.stdout.write(`${HEAD}\n`);
  await bench.proxies(proxies);
  if (real && 'bin' in real) await bench.appServers(appServers, real.bin);
  const idle = parseCount(values.idle, 0);
  if (idle > 0 && (!values.only || 'standing'.includes(values.only))) await bench.stand(idle);
  const results: BenchResults = {
    format: 'portico-bench/1',
    startedAt,
    machine: `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, Node ${process.version}`,
    settings: plan,
    leftOut: bench.leftOut,
    cases: bench.cases,
    standing: bench.standing,
  };
  const chart = values.chart ?? values.json?.replace(/(\.json)?$/, '.html');
  if (values.json) write(values.json, `${JSON.stringify(results, null, 2)}\n`);
  if (chart) write(chart, benchPage(results));
  return 0;
}

/** A wrong command line is told in a sentence, with status 2. */
function wrongUsage(error: unknown): number {
  if (!isUsageError(error)) throw error;
  process.stderr.write(`bench: ${error.message}\nTry 'npm run bench -- --help'.\n`);
  return 2;
}

process.exitCode = await main().catch(wrongUsage);
