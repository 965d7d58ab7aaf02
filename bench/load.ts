// `node bench/load.ts`: the load generator beside wrk and autocannon, against nginx's shortest reply. Server and generator have
// a core each; runs are interleaved and the median counts. CPU time per request is the steadiest figure on a busy machine, and
// its inverse is what one core can do at most.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { freePort, hasProgram, listening, pinned, start, stop } from './processes.ts';
import { median } from './results.ts';

const HELP = `node bench/load.ts [options]: measures portico load beside wrk and autocannon

  --duration N      seconds a run (default 4)
  --rounds N        runs of each, the median counts (default 3)
  --connections N   open connections (default 64)
`;

interface Generator {
  readonly name: string;
  readonly missing: string | undefined;
  command(url: string, seconds: number, connections: number): string[];
  /** Requests in its output. */
  count(out: string): number;
}

function autocannon(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve('autocannon/autocannon.js');
  } catch {
    return undefined;
  }
}

const PORTICO = fileURLToPath(new URL('../load/main.ts', import.meta.url));

const GENERATORS: readonly Generator[] = [
  {
    name: 'wrk',
    missing: hasProgram('wrk') ? undefined : 'wrk is not installed (apt-get install wrk)',
    command: (url, seconds, connections) => ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, url],
    count: (out) => Number(/(\d+) requests in/.exec(out)?.[1]),
  },
  {
    name: 'portico load',
    missing: undefined,
    command: (url, seconds, connections) => [
      process.execPath,
      PORTICO,
      '--json',
      '-c',
      String(connections),
      '-d',
      `${seconds}s`,
      url,
    ],
    count: (out) => (JSON.parse(out) as { requests: number }).requests,
  },
  {
    name: 'autocannon',
    missing: autocannon() === undefined ? 'autocannon is not installed (npm install --no-save autocannon)' : undefined,
    command: (url, seconds, connections) => [
      process.execPath,
      autocannon()!,
      '--json',
      '-c',
      String(connections),
      '-d',
      String(seconds),
      url,
    ],
    count: (out) => (JSON.parse(out.slice(out.indexOf('{'))) as { requests: { total: number } }).requests.total,
  },
];

interface Measured {
  readonly requestsPerSecond: number;
  readonly cpuMicros: number;
}

interface Cost {
  readonly requests: number;
  readonly cpuSeconds: number;
}

/** Runs a generator on core 1; the shell tells what CPU time it took. */
function run(generator: Generator, url: string, seconds: number, connections: number): Cost {
  const command = pinned(1, generator.command(url, seconds, connections));
  const mark = 'CPU TIMES';
  const script = `"$@" 2>/dev/null; echo '${mark}'; times`;
  const out = execFileSync('sh', ['-c', script, 'sh', ...command], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  const [said, times] = out.split(mark) as [string, string];
  // The second line of `times` is of the children: user and system, as 0m1.23s.
  const parts = [
    ...times
      .trim()
      .split('\n')[1]!
      .matchAll(/(\d+)m([\d.]+)s/g),
  ];
  return {
    requests: generator.count(said),
    cpuSeconds: parts.reduce((sum, [, m, s]) => sum + Number(m) * 60 + Number(s), 0),
  };
}

/** What a request costs more than the start: the difference of a short and a long run. */
function measure(generator: Generator, url: string, seconds: number, connections: number): Measured {
  const short = run(generator, url, 1, connections);
  const long = run(generator, url, seconds + 1, connections);
  const requests = long.requests - short.requests;
  return { requestsPerSecond: requests / seconds, cpuMicros: ((long.cpuSeconds - short.cpuSeconds) * 1e6) / requests };
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      duration: { type: 'string', default: '4' },
      rounds: { type: 'string', default: '3' },
      connections: { type: 'string', default: '64' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (!hasProgram('nginx')) {
    process.stderr.write('bench: nginx is needed and not installed (apt-get install nginx); nothing was measured\n');
    return 1;
  }
  const able = GENERATORS.filter(({ missing }) => missing === undefined);
  for (const { missing } of GENERATORS) if (missing !== undefined) process.stdout.write(`left out: ${missing}\n`);
  const dir = mkdtempSync(join(tmpdir(), 'portico-bench-load-'));
  const port = await freePort();
  mkdirSync(join(dir, 'logs'));
  writeFileSync(
    join(dir, 'nginx.conf'),
    `daemon off; worker_processes 1; pid nginx.pid; events { worker_connections 4096; }
http { access_log off; keepalive_requests 100000000; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;
  uwsgi_temp_path u; scgi_temp_path s; server { listen 127.0.0.1:${port}; location / { return 200 "hello\\n"; } } }
`,
  );
  const server = start(pinned(0, ['nginx', '-p', `${dir}/`, '-c', 'nginx.conf', '-e', 'error.log']));
  try {
    await listening(port);
    const all = new Map<Generator, Measured[]>(able.map((generator) => [generator, []]));
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [generator, runs] of all) {
        runs.push(measure(generator, `http://127.0.0.1:${port}/`, Number(values.duration), Number(values.connections)));
      }
    }
    process.stdout.write('generator      requests/s   CPU us/request   requests/s of a whole core\n');
    for (const [{ name }, runs] of all) {
      const perSecond = median(runs.map(({ requestsPerSecond }) => requestsPerSecond));
      const micros = median(runs.map(({ cpuMicros }) => cpuMicros));
      process.stdout.write(
        `${name.padEnd(14)} ${perSecond.toFixed(0).padStart(10)} ${micros.toFixed(1).padStart(16)} ${(1e6 / micros).toFixed(0).padStart(28)}\n`,
      );
    }
  } finally {
    await stop(server);
    rmSync(dir, { recursive: true, force: true });
  }
  return 0;
}

process.exitCode = await main();
