// One of the two servers under comparison (nginx, ours): started on a group's configuration in a directory of its own
// with ports of its own and an upstream of its own, sent the group's cases one after another, and stopped. What comes
// back is neutral: ports, directory, dates and connection numbers are replaced by names.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../proxy/start-proxy.ts';
import { type Answers, converse, split } from './client.ts';
import type { Group, Part } from './group.ts';
import { type ScriptedUpstream, scriptedUpstream } from './scripted-upstream.ts';

/** Command line that starts a server; `-p DIR/ -c nginx.conf -e error.log` follow. */
export type Program = readonly string[];

export const OURS: Program = [process.execPath, fileURLToPath(new URL('../../../proxy/main.ts', import.meta.url))];

/** nginx 1.22 of this machine, or why there is none. */
export function findNginx(): { readonly program: Program } | { readonly reason: string } {
  const places = [...(process.env.PATH ?? '').split(':'), '/usr/sbin'].map((place) => join(place, 'nginx'));
  const path = places.find((place) => existsSync(place));
  if (!path) return { reason: 'no nginx in PATH or /usr/sbin' };
  const version = versionOf(path);
  if (!version.startsWith('1.22.')) return { reason: `nginx is ${version}, the reference is 1.22` };
  return { program: [path] };
}

function versionOf(path: string): string {
  // `-v` writes to stderr.
  const text = execFileSync('/bin/sh', ['-c', '"$0" -v 2>&1', path], { encoding: 'utf8' });
  return /nginx\/(\S+)/.exec(text)?.[1] ?? 'of an unknown version';
}

const LOG_FORMAT = `log_format twin '$realip_remote_port $remote_addr $remote_user "$request" $status $body_bytes_sent '
  '$bytes_sent $request_length "$http_referer" "$http_user_agent" $host $server_name $uri $args $request_method '
  '$server_protocol $scheme $pipe $connection_requests "$request_completion" up: $upstream_addr $upstream_status '
  '$upstream_response_length $upstream_bytes_sent $upstream_bytes_received $upstream_cache_status';`;
const TEMP_PATHS = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
  (name) => `${name}_temp_path temp_${name};`,
);
/** Time of change of all files, so that Last-Modified and ETag agree. */
const FILE_TIME = new Date('2020-02-03T04:05:06Z');

export type Observed = Readonly<Record<Part, string>>;

/** What one server did with a group's cases, and what it wrote to its error log from level `error` on. */
export interface Run {
  readonly cases: readonly Observed[];
  readonly errors: readonly string[];
}

/** Starts `program` on the group, sends the cases, stops it. */
export async function runTwin(program: Program, group: Group): Promise<Run> {
  const upstream = await scriptedUpstream();
  const twin = await startTwin(program, group, upstream).catch(async (error) => {
    await upstream.stop();
    throw error;
  });
  const answers: Answers[] = [];
  const received: string[] = [];
  const clients = new Set<number>();
  try {
    for (const test of group.cases) {
      upstream.load(typeof test.upstream === 'string' ? [test.upstream] : (test.upstream ?? []));
      answers.push(await converse(twin.ports[test.port ?? 0]!, test, await otherPort(clients)));
      received.push(upstream.received().join('\n----\n'));
    }
  } finally {
    await stop(twin.process);
    await upstream.stop();
  }
  const read = (name: string): string => {
    const path = join(twin.dir, name);
    return existsSync(path) ? readFileSync(path, 'latin1') : '';
  };
  const neutral = neutralizer(twin, upstream);
  const logged = linesByPort(read('access.log'));
  const errors = read('error.log')
    .split('\n')
    .filter((line) => /^\S+ \S+ \[(error|crit|alert|emerg)\]/.test(line))
    .map((line) => neutral(line.replace(/^\S+ \S+ /, '').replace(/ \d+#\d+: (\*\d+ )?/, ' ')))
    // Which of the two nginx is at when an unbuffered response breaks off is chance.
    .map((line) => line.replace(' while sending to client,', ' while reading upstream,'));
  rmSync(twin.dir, { recursive: true, force: true });
  return {
    cases: group.cases.map((test, i) => {
      const answer = answers[i]!;
      const { heads, bodies } = split(answer, test);
      return {
        head: neutral(heads),
        body: neutral(bodies),
        reuse: answer.end,
        log: neutral((logged.get(answer.localPort) ?? []).join('\n')),
        upstream: neutral(received[i]!),
      };
    }),
    errors,
  };
}

/** A free port that no earlier client had: log lines are told apart by it, and the system gives a port again soon. */
async function otherPort(had: Set<number>): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (had.has(port)) continue;
    had.add(port);
    return port;
  }
}

interface Twin {
  readonly process: ChildProcess;
  readonly dir: string;
  readonly ports: readonly number[];
}

async function startTwin(program: Program, group: Group, upstream: ScriptedUpstream): Promise<Twin> {
  const dir = mkdtempSync(join(tmpdir(), 'portico-twin-'));
  chmodSync(dir, 0o755);
  const ports: number[] = [];
  const count = Math.max(1, ...[...group.conf.matchAll(/%%PORT_(\d)%%/g)].map((m) => Number(m[1]) + 1));
  for (let i = 0; i < count; i++) ports.push(await freePort());
  const fill = (text: string): string =>
    text
      .replace(/%%PORT_(\d)%%/g, (_, i: string) => String(ports[Number(i)]))
      .replace(/%%UP_(\d)%%/g, (_, i: string) => String(upstream.ports[Number(i)]))
      .replaceAll('%%DIR%%', dir);
  for (const [name, content] of Object.entries(group.files ?? {})) {
    const path = join(dir, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, typeof content === 'string' ? Buffer.from(fill(content), 'latin1') : content);
    utimesSync(path, FILE_TIME, FILE_TIME);
    for (let folder = dirname(path); folder !== dir; folder = dirname(folder)) utimesSync(folder, FILE_TIME, FILE_TIME);
  }
  const head = 'daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log info;\nevents { }';
  const conf = fill(
    `${head}\n${group.main ?? ''}\nhttp {\n${TEMP_PATHS.join('\n')}\n${LOG_FORMAT}\naccess_log access.log twin;\n${group.conf}\n}\n`,
  );
  writeFileSync(join(dir, 'nginx.conf'), conf, 'latin1');
  const [command, ...args] = [...program, '-p', `${dir}/`, '-c', 'nginx.conf', '-e', 'error.log'];
  const child = spawn(command!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('latin1').on('data', (chunk: string) => {
    stderr += chunk;
  });
  const pidFile = join(dir, 'nginx.pid');
  const isUp = await new Promise<boolean>((done) => {
    const check = (): void => {
      if (existsSync(pidFile) && readFileSync(pidFile, 'latin1').endsWith('\n')) settle(true);
    };
    const settle = (up: boolean): void => {
      watcher.close();
      done(up);
    };
    const watcher = watch(dir, check);
    child.on('exit', () => settle(false));
    check();
  });
  if (!isUp) throw new Error(`${command} did not start on "${group.name}": ${stderr}`);
  return { process: child, dir, ports };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.on('exit', done));
  child.kill('SIGQUIT');
  await gone;
}

/** Log lines by the client's port, which begins each. */
function linesByPort(log: string): Map<number, string[]> {
  const found = new Map<number, string[]>();
  for (const line of log.split('\n')) {
    const space = line.indexOf(' ');
    const port = Number(line.slice(0, space));
    if (space < 0 || line.includes('"~"')) continue;
    found.set(port, [...(found.get(port) ?? []), line.slice(space + 1)]);
  }
  return found;
}

/** Replaces what cannot be the same on both sides. */
function neutralizer(twin: Twin, upstream: ScriptedUpstream): (text: string) => string {
  const names = new Map<string, string>();
  twin.ports.forEach((port, i) => {
    names.set(String(port), `PORT_${i}`);
  });
  upstream.ports.forEach((port, i) => {
    names.set(String(port), `UP_${i}`);
  });
  const now = Date.now();
  return (text) =>
    text
      .replaceAll(twin.dir, 'DIR')
      .replace(/\b\d{4,5}\b/g, (number) => names.get(number) ?? number)
      .replace(/\b0000\d{16}\b/g, 'BOUNDARY')
      .replace(/[A-Z][a-z]{2}, \d\d[ -][A-Z][a-z]{2}[ -]\d{2,4} \d\d:\d\d:\d\d GMT/g, (date) => nearby(date, now));
}

/** A date near now by its distance, to five minutes. */
function nearby(date: string, now: number): string {
  const minutes = 5 * Math.round((Date.parse(date) - now) / 300_000);
  return Math.abs(minutes) > 3 * 366 * 1440 ? date : `NOW${minutes >= 0 ? '+' : ''}${minutes}min`;
}
