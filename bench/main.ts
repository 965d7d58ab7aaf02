// `npm run bench`: ours beside nginx, HAProxy, Caddy and Node's proxy libraries, same machine, same run, interleaved. Server
// and load have a core each; answers are compared before anything is timed. The steadiest figure on a noisy machine is CPU
// time per request of all of the server's processes, so ratios of that to nginx's are what counts.
import { mkdirSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { CASES, type Case } from './cases.ts';
import { generate, whyNot } from './generators.ts';
import { Arena, PEERS, type Peer, type RunningPeer } from './peers.ts';
import { cpuTimeMs, family, hasProgram, residentBytes } from './processes.ts';
import { type Standing, standing } from './standing.ts';

const HELP = `npm run bench -- [options]: measures the proxy beside nginx, HAProxy, Caddy and Node's proxy libraries

  --only TEXT       cases whose name holds TEXT; "standing" for start-up and idle connections alone
  --peers A,B       only these, besides nginx and portico
  --duration N      seconds a measurement (default 5)
  --rounds N        measurements a case and peer, the median counts (default 3)
  --connections N   open connections (default 64)
  --idle N          idle connections whose memory is measured (default 10000, 0 for none)
  --workers N       worker processes of each peer that has them (default 1)
  --json FILE       write the figures too
  --list            print the cases

Peers that are not installed are left out, with a line that says how to install them.

Examples:
  npm run bench
  npm run bench -- --only keepalive --duration 10 --json bench/results/keepalive.json
  npm run bench -- --only static --peers caddy
`;

interface Measured {
  readonly requestsPerSecond: number;
  readonly cpuMicrosPerRequest: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly errors: number;
  readonly residentMb: number;
}

interface Plan {
  readonly rounds: number;
  readonly seconds: number;
  readonly connections: number;
}

type Results = Record<string, Record<string, Measured | Standing>>;

function urlOf(test: Case, running: RunningPeer): string {
  return `${test.isTls ? 'https' : 'http'}://127.0.0.1:${test.isTls ? running.httpsPort : running.httpPort}${test.path}`;
}

/** Status, type and length of the answer, which must be the same for all. */
function answer(url: string): Promise<string> {
  return new Promise((done) => {
    const ask = url.startsWith('https') ? httpsRequest : httpRequest;
    const request = ask(url, { rejectUnauthorized: false, agent: false }, (res) => {
      let length = 0;
      res.on('data', (chunk: Buffer) => {
        length += chunk.length;
      });
      res.on('end', () => done(`${res.statusCode}, ${length} bytes`));
    });
    request.on('error', (error) => done(error.message));
    request.end();
  });
}

/** What is wrong with the answers; undefined when they are all alike. */
async function disagreement(test: Case, all: readonly RunningPeer[]): Promise<string | undefined> {
  // There are no plain answers to compare.
  if (test.generator === 'messages' || test.generator === 'upload') return undefined;
  const answers = await Promise.all(all.map((running) => answer(urlOf(test, running))));
  if (new Set(answers).size === 1 && answers[0]!.startsWith('200')) return undefined;
  return answers.map((text, i) => `${all[i]!.peer.name}: ${text}`).join(' | ');
}

function measure(test: Case, running: RunningPeer, plan: Plan, dir: string): Measured {
  const pids = family(running.process.pid!);
  const before = cpuTimeMs(pids);
  const { seconds, connections } = plan;
  const load = generate({ test, url: urlOf(test, running), seconds, connections, dir });
  const spentMs = cpuTimeMs(pids) - before;
  const { requests, ...told } = load;
  return {
    ...told,
    cpuMicrosPerRequest: requests ? (spentMs * 1000) / requests : Number.NaN,
    residentMb: residentBytes(family(running.process.pid!)) / 1024 ** 2,
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function medianOf(all: readonly Measured[]): Measured {
  const pick = (key: keyof Measured): number => median(all.map((m) => m[key] ?? Number.NaN));
  return {
    requestsPerSecond: pick('requestsPerSecond'),
    cpuMicrosPerRequest: pick('cpuMicrosPerRequest'),
    p50Ms: pick('p50Ms'),
    p99Ms: pick('p99Ms'),
    errors: Math.max(...all.map((m) => m.errors)),
    residentMb: pick('residentMb'),
  };
}

const HEAD = `${'case'.padEnd(30)} ${'peer'.padEnd(19)}   req/s CPU us/req  ratio  p50 ms  p99 ms errors RSS MB`;

function row(test: Case, name: string, m: Measured, base: number): string {
  const figure = (value: number | null, digits: number, width: number): string =>
    (value !== null && Number.isFinite(value) ? value.toFixed(digits) : '-').padStart(width);
  return [
    test.name.padEnd(30),
    name.padEnd(19),
    figure(m.requestsPerSecond, 0, 7),
    figure(m.cpuMicrosPerRequest, 1, 10),
    figure(m.cpuMicrosPerRequest / base, 2, 6),
    figure(m.p50Ms, 2, 7),
    figure(m.p99Ms, 2, 7),
    figure(m.errors, 0, 6),
    figure(m.residentMb, 0, 6),
  ].join(' ');
}

async function runCase(test: Case, arena: Arena, plan: Plan, results: Results): Promise<void> {
  const able = arena.running.filter(({ peer }) => test.needs.every((ability) => peer.can.includes(ability)));
  const wrong = whyNot(test) ?? (await disagreement(test, able));
  if (wrong !== undefined) {
    process.stdout.write(`${test.name.padEnd(30)} not measured: ${wrong}\n`);
    return;
  }
  const all = new Map<RunningPeer, Measured[]>(able.map((running) => [running, []]));
  for (let round = 0; round < plan.rounds; round++) {
    for (const [running, list] of all) list.push(measure(test, running, plan, arena.dir));
  }
  let base: number | undefined;
  results[test.name] = {};
  for (const [{ peer }, list] of all) {
    const m = medianOf(list);
    base ??= m.cpuMicrosPerRequest;
    results[test.name]![peer.name] = m;
    process.stdout.write(`${row(test, peer.name, m, base)}\n`);
  }
}

async function runStanding(arena: Arena, idle: number, results: Results): Promise<void> {
  process.stdout.write(`${'peer'.padEnd(19)} start ms  KB an idle connection (${idle})\n`);
  results['standing'] = {};
  for (const running of arena.running) {
    const s = await standing(running, idle);
    results['standing'][running.peer.name] = s;
    process.stdout.write(
      `${running.peer.name.padEnd(19)} ${s.startMs.toFixed(0).padStart(8)}  ${s.idleKb.toFixed(1).padStart(21)}\n`,
    );
  }
}

/** Runs `body` with the peers up, and ends them however it ends. */
async function inArena(
  peers: readonly Peer[],
  workers: number,
  servers: number,
  body: (arena: Arena) => Promise<void>,
): Promise<void> {
  const arena = new Arena();
  try {
    await arena.open(peers, workers, servers);
    await body(arena);
  } finally {
    await arena.close();
  }
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
  const wanted = values.peers?.split(',');
  const peers = PEERS.filter(({ name }) => !wanted || ['nginx', 'portico', ...wanted].includes(name));
  for (const { missing } of peers) if (missing) process.stdout.write(`left out: ${missing}\n`);
  const here = peers.filter(({ missing }) => !missing);
  const plan = {
    rounds: Number(values.rounds),
    seconds: Number(values.duration),
    connections: Number(values.connections),
  };
  const results: Results = {};
  // Cases with other workers or servers than usual have an arena of their own.
  const groups = Map.groupBy(cases, (c) => `${c.workers ?? values.workers} ${c.servers ?? 0}`);
  if (groups.size > 0) process.stdout.write(`${HEAD}\n`);
  for (const [key, group] of groups) {
    const [workers, servers] = key.split(' ').map(Number) as [number, number];
    const able = here.filter(({ can }) => workers === 1 || can.includes('workers'));
    const those = servers > 0 ? able.filter(({ can }) => can.includes('gzip')) : able;
    await inArena(those, workers, servers, async (arena) => {
      for (const test of group) await runCase(test, arena, plan, results);
    });
  }
  const idle = Number(values.idle);
  if (idle > 0 && (!values.only || 'standing'.includes(values.only))) {
    await inArena(here, Number(values.workers), 0, (arena) => runStanding(arena, idle, results));
  }
  if (values.json) {
    mkdirSync(dirname(values.json), { recursive: true });
    writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
  }
  return 0;
}

process.exitCode = await main();
