// `npm run bench`: ours beside nginx, same machine, same run, interleaved. Server and load have a core each; answers are
// compared before anything is timed. The steadiest figure on a noisy machine is CPU time per request of all of the
// server's processes, so ratios of that are what counts.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { parseArgs } from 'node:util';
import { Arena, PEERS, type RunningPeer } from './peers.ts';
import { cpuTimeMs, family, hasProgram, pinned, residentBytes } from './processes.ts';

interface Case {
  readonly name: string;
  readonly path: string;
  readonly isTls?: boolean;
  readonly isClosing?: boolean;
}

const CASES: readonly Case[] = [
  { name: 'proxied keepalive, 34 B', path: '/app/hello' },
  { name: 'proxied keepalive, TLS', path: '/app/hello', isTls: true },
  { name: 'proxied, no upstream keepalive', path: '/plain/hello' },
  { name: 'proxied 64 KB', path: '/app/64k' },
  { name: 'static 1 KB', path: '/static/1k' },
  { name: 'static 64 KB', path: '/static/64k' },
  { name: 'static 10 MB', path: '/static/10m' },
  { name: 'full TLS handshakes, static 1 KB', path: '/static/1k', isTls: true, isClosing: true },
];

const HELP = `npm run bench -- [options]: measures the proxy beside nginx

  --only TEXT       cases whose name holds TEXT
  --duration N      seconds a measurement (default 5)
  --rounds N        measurements a case and peer, the median counts (default 3)
  --connections N   open connections (default 64)
  --workers N       worker_processes (default 1)
  --json FILE       write the figures too
  --list            print the cases

Examples:
  npm run bench
  npm run bench -- --only keepalive --duration 10 --json bench/results/keepalive.json
`;

interface Measured {
  readonly requestsPerSecond: number;
  readonly cpuMicrosPerRequest: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
  readonly residentMb: number;
}

function urlOf(test: Case, running: RunningPeer): string {
  return `${test.isTls ? 'https' : 'http'}://127.0.0.1:${test.isTls ? running.httpsPort : running.httpPort}${test.path}`;
}

/** Status, body and the headers that must be the same for all. */
function answer(url: string): Promise<string> {
  return new Promise((done, fail) => {
    const request = (url.startsWith('https') ? httpsRequest : httpRequest)(
      url,
      { rejectUnauthorized: false },
      (res) => {
        let length = 0;
        res.on('data', (chunk: Buffer) => {
          length += chunk.length;
        });
        res.on('end', () =>
          done(`${res.statusCode} ${res.headers['content-type']} ${res.headers['content-length']} ${length}`),
        );
      },
    );
    request.on('error', fail);
    request.end();
  });
}

function milliseconds(text: string): number {
  const value = Number.parseFloat(text);
  return text.endsWith('us') ? value / 1000 : text.endsWith('ms') ? value : value * 1000;
}

function measure(test: Case, running: RunningPeer, duration: number, connections: number): Measured {
  const pids = family(running.process.pid!);
  const before = cpuTimeMs(pids);
  const headers = test.isClosing ? ['-H', 'Connection: close'] : [];
  const [command, ...args] = pinned(1, [
    'wrk',
    '-t1',
    `-c${connections}`,
    `-d${duration}s`,
    '--latency',
    ...headers,
    urlOf(test, running),
  ]);
  const out = execFileSync(command!, args, { encoding: 'utf8' });
  const spent = cpuTimeMs(pids) - before;
  const requests = Number(/(\d+) requests in/.exec(out)?.[1] ?? 0);
  const socketErrors = [
    .../(?:connect|read|write|timeout) (\d+)/g[Symbol.matchAll](/Socket errors:.*/.exec(out)?.[0] ?? ''),
  ];
  return {
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(out)?.[1] ?? 0),
    cpuMicrosPerRequest: requests ? (spent * 1000) / requests : Number.NaN,
    p50Ms: milliseconds(/50%\s+(\S+)/.exec(out)?.[1] ?? '0ms'),
    p99Ms: milliseconds(/99%\s+(\S+)/.exec(out)?.[1] ?? '0ms'),
    errors: socketErrors.reduce((sum, m) => sum + Number(m[1]), 0) + Number(/Non-2xx.*: (\d+)/.exec(out)?.[1] ?? 0),
    residentMb: residentBytes(family(running.process.pid!)) / 1024 ** 2,
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

function medianOf(all: readonly Measured[]): Measured {
  const pick = (key: keyof Measured): number => median(all.map((m) => m[key]));
  return {
    requestsPerSecond: pick('requestsPerSecond'),
    cpuMicrosPerRequest: pick('cpuMicrosPerRequest'),
    p50Ms: pick('p50Ms'),
    p99Ms: pick('p99Ms'),
    errors: Math.max(...all.map((m) => m.errors)),
    residentMb: pick('residentMb'),
  };
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      duration: { type: 'string', default: '5' },
      rounds: { type: 'string', default: '3' },
      connections: { type: 'string', default: '64' },
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
  for (const peer of PEERS) if (peer.missing) process.stdout.write(`left out: ${peer.missing}\n`);

  const arena = new Arena();
  const results: Record<string, Record<string, Measured>> = {};
  try {
    await arena.open(Number(values.workers));
    process.stdout.write(
      'case                                  peer       req/s   CPU us/req  ratio   p50 ms   p99 ms  errors  RSS MB\n',
    );
    for (const test of cases) {
      const answers = await Promise.all(arena.running.map((running) => answer(urlOf(test, running))));
      if (new Set(answers).size > 1) {
        process.stderr.write(`${test.name}: the answers differ, not measured: ${answers.join(' | ')}\n`);
        continue;
      }
      const all = new Map<RunningPeer, Measured[]>();
      for (let round = 0; round < Number(values.rounds); round++) {
        for (const running of arena.running) {
          const list = all.get(running) ?? [];
          list.push(measure(test, running, Number(values.duration), Number(values.connections)));
          all.set(running, list);
        }
      }
      let base: number | undefined;
      for (const [running, list] of all) {
        const m = medianOf(list);
        base ??= m.cpuMicrosPerRequest;
        results[test.name] = { ...results[test.name], [running.peer.name]: m };
        process.stdout.write(
          `${test.name.padEnd(37)} ${running.peer.name.padEnd(8)} ${m.requestsPerSecond.toFixed(0).padStart(7)} ${m.cpuMicrosPerRequest.toFixed(1).padStart(12)} ${(m.cpuMicrosPerRequest / base).toFixed(2).padStart(6)} ${m.p50Ms.toFixed(2).padStart(8)} ${m.p99Ms.toFixed(2).padStart(8)} ${String(m.errors).padStart(7)} ${m.residentMb.toFixed(0).padStart(7)}\n`,
        );
      }
    }
  } finally {
    await arena.close();
  }
  if (values.json) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
  return 0;
}

process.exitCode = await main();
