// The command line of `portico load`: flags to a plan. What cannot be meant is refused with one line; a scenario file sets the
// same fields, and flags given beside it win.
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { readAuthorities } from './authorities.ts';
import { originOf } from './client/exchange.ts';
import { parseThreshold, type Threshold } from './measure/thresholds.ts';
import type { LoadPlan, PlannedRequest } from './plan.ts';
import { type LoadFile, readLoadFile } from './scenario/load-file.ts';
import { parseCount, parseDuration, parseRate, parseSize, parseStages, type Stage } from './units.ts';

export const HELP = `Usage: portico load [OPTIONS] URL...
       portico load [OPTIONS] FILE.yml
       portico load SCENARIO [--quick]

Puts load on URLs of any server and says what it holds, and where requests wait. URLs can be weighted: '3*URL'.

How much
  -c, --connections N|STAGES  closed loop: so many connections, each asking again when it has its answer (default 10)
  -r, --rate N|STAGES         open loop: so many requests/s whatever the server does; latency counts from when each was due;
                              -c is then the most connections (default 1024)
      --poisson               open loop: random arrivals instead of even ones
  -d, --duration TIME         how long (default 10s)
  -n, --requests N            so many requests, then stop
      --warmup TIME           so long before, not counted
      --think TIME[-TIME]     closed loop: a pause before the next request
      --threads N             threads that make the load (default: by the rate)
  STAGES are steps and ramps, as in 10:5s,10-100:20s,100:10s

What
  -X, --method METHOD         -H, --header 'NAME: VALUE'         -b, --body TEXT|@FILE
      --http2                 HTTP/2 (over TLS by ALPN, over http: with prior knowledge)
      --streams N             HTTP/2: requests at a time on a connection (default 1)
      --close                 Connection: close, a new connection for each request
      --reconnect N           a new connection after so many requests
      --slow-send BYTES/S     trickle requests out        --slow-read BYTES/S     read responses slowly
      --timeout TIME          give a request up (default 30s)
      --cacert FILE           trust this authority (default: Portico's own)        -k, --insecure    trust anything
      --access-log FILE       the proxy's access log, to tell where the time went (rt=, uct=, uht=, urt=, ua=)

What comes out
      --fail-if COMPARISON    exit with 1 when it holds: 'p99>200ms', 'errors>0.1%', 'rps<300'; can be given several times
      --json                  the result as JSON on standard output
  -o, --out FILE              the result as JSON in a file; portico report draws it
  -q, --quiet                 no live view
      --seed N                of the random draws (default 1)
      --list                  the ready scenarios        --quick    a ready scenario at its smallest
  -h, --help                  this text

Exit status: 0, 1 when a --fail-if holds, the target cannot be reached or a scenario's outcome was not the expected one,
2 for a wrong command line, 130 after Ctrl-C (which prints the results so far).

Examples:
  portico load https://localhost:8443/
  portico load -r 300 -d 30s --fail-if 'p99>200ms' --fail-if 'errors>0.1%' https://localhost:8443/api/io?ms=20
  portico load -c 1:5s,1-200:30s --out ramp.json '9*https://localhost:8443/' 'https://localhost:8443/cpu?ms=10'
  portico load keepalive-race
`;

/** What the user asked for. */
export type LoadCommand =
  | { kind: 'help' }
  | { kind: 'list' }
  | { kind: 'scenario'; name: string; isQuick: boolean; isJson: boolean; out: string | undefined; isQuiet: boolean }
  | { kind: 'run'; plan: LoadPlan; output: OutputOptions };

export interface OutputOptions {
  readonly failIf: readonly Threshold[];
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  readonly out: string | undefined;
  readonly accessLog: string | undefined;
}

/** Runs of no other limit: a day. */
const ENDLESS_MS = 86_400_000;
/** Requests a second that one thread makes with ease. */
const RATE_OF_A_THREAD = 8000;
const OPEN_CONNECTIONS = 1024;
const FLAGS_OF_SCENARIOS: ReadonlySet<string> = new Set(['quick', 'json', 'out', 'quiet']);

/** Reads the arguments. Throws RangeError with a line for the user. */
export function parseLoadCommand(argv: readonly string[], isScenario: (name: string) => boolean): LoadCommand {
  const { values, positionals } = parse(argv);
  if (values.help) return { kind: 'help' };
  if (values.list) return { kind: 'list' };
  const [first] = positionals;
  if (first === undefined)
    throw new RangeError('what shall be loaded? Give a URL, a scenario file, or the name of a scenario (--list)');
  if (isScenario(first)) {
    if (positionals.length > 1) throw new RangeError('a ready scenario stands alone; give nothing beside it');
    const useless = Object.keys(values).find((name) => !FLAGS_OF_SCENARIOS.has(name));
    if (useless !== undefined)
      throw new RangeError(`--${useless} does not go with a ready scenario, which has a load of its own`);
    return {
      kind: 'scenario',
      name: first,
      isQuick: values.quick === true,
      isJson: values.json === true,
      out: values.out,
      isQuiet: values.quiet === true,
    };
  }
  const isFile = /\.ya?ml$/.test(first);
  if (!isFile && !first.includes('://'))
    throw new RangeError(`"${first}" is no URL, no .yml file and no scenario; portico load --list shows the scenarios`);
  if (isFile && positionals.length > 1)
    throw new RangeError('a scenario file names its URLs itself; give nothing beside it');
  if (values.quick === true) throw new RangeError('--quick is for ready scenarios (--list)');
  const file = isFile ? readLoadFile(first) : undefined;
  const failIf = [...(file?.failIf ?? []), ...(values['fail-if'] ?? []).map(parseThreshold)];
  return {
    kind: 'run',
    plan: planOf(values, positionals, file),
    output: {
      failIf,
      isJson: values.json === true,
      isQuiet: values.quiet === true || values.json === true,
      out: values.out,
      accessLog: values['access-log'],
    },
  };
}

type Values = ReturnType<typeof parse>['values'];

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        connections: { type: 'string', short: 'c' },
        rate: { type: 'string', short: 'r' },
        poisson: { type: 'boolean' },
        duration: { type: 'string', short: 'd' },
        requests: { type: 'string', short: 'n' },
        warmup: { type: 'string' },
        think: { type: 'string' },
        threads: { type: 'string' },
        method: { type: 'string', short: 'X' },
        header: { type: 'string', short: 'H', multiple: true },
        body: { type: 'string', short: 'b' },
        http2: { type: 'boolean' },
        streams: { type: 'string' },
        close: { type: 'boolean' },
        reconnect: { type: 'string' },
        'slow-send': { type: 'string' },
        'slow-read': { type: 'string' },
        timeout: { type: 'string' },
        cacert: { type: 'string' },
        insecure: { type: 'boolean', short: 'k' },
        'access-log': { type: 'string' },
        'fail-if': { type: 'string', multiple: true },
        json: { type: 'boolean' },
        out: { type: 'string', short: 'o' },
        quiet: { type: 'boolean', short: 'q' },
        seed: { type: 'string' },
        list: { type: 'boolean' },
        quick: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    // The first sentence; the next ones of Node are about the parser.
    throw new RangeError((error as Error).message.split('. ')[0]);
  }
}

function planOf(values: Values, positionals: readonly string[], file: LoadFile | undefined): LoadPlan {
  const read = <T>(flag: keyof Values, parseText: (text: string) => T): T | undefined => {
    const text = values[flag];
    if (typeof text !== 'string') return undefined;
    try {
      return parseText(text);
    } catch (error) {
      throw new RangeError(`--${flag}: ${(error as Error).message}`);
    }
  };
  const requestLimit = read('requests', (text) => parseCount(text, 1)) ?? file?.requests;
  const durationMs =
    read('duration', parseDuration) ?? file?.durationMs ?? (requestLimit === undefined ? 10_000 : ENDLESS_MS);
  if (durationMs <= 0) throw new RangeError('--duration: a run needs some time');
  const rate = read('rate', (text) => parseStages(text, parseRate, durationMs)) ?? file?.rate?.(durationMs);
  const level =
    read('connections', (text) => parseStages(text, (one) => parseCount(one, 0), durationMs)) ??
    file?.connections?.(durationMs);
  const model = rate === undefined ? 'closed' : 'open';
  const isHttp2 = values.http2 ?? file?.isHttp2 ?? false;
  if (values.poisson && model === 'closed') throw new RangeError('--poisson needs a rate (-r)');
  if (values.think !== undefined && model === 'open')
    throw new RangeError('--think is for the closed loop; the open one has its rate (-r)');
  if (values.streams !== undefined && !isHttp2) throw new RangeError('--streams needs --http2');
  const stages = rate ?? level ?? [{ durationMs, from: 10, to: 10 }];
  const most = (of: readonly Stage[]): number => Math.ceil(Math.max(...of.flatMap(({ from, to }) => [from, to])));
  if (most(stages) <= 0)
    throw new RangeError(`${model === 'open' ? '--rate' : '--connections'}: nothing would be sent`);
  const connections = model === 'closed' ? most(stages) : level === undefined ? OPEN_CONNECTIONS : most(level);
  const threads =
    read('threads', (text) => parseCount(text, 1)) ??
    (model === 'open' ? Math.min(availableParallelism(), Math.ceil(most(stages) / RATE_OF_A_THREAD)) : 1);
  if (threads > connections)
    throw new RangeError(`--threads: ${threads} threads cannot share ${connections} connections`);
  if (isHttp2 && (values['slow-send'] || values['slow-read'] || values.close || values.reconnect)) {
    throw new RangeError('--http2 does not go with --slow-send, --slow-read, --close or --reconnect');
  }
  const requests = file?.mix ?? positionals.map((given) => requestOf(given, values));
  return {
    name: file?.name ?? (requests.length === 1 ? requests[0]!.url : 'a mix'),
    requests,
    order: file?.order ?? 'weighted',
    model,
    arrivals: (values.poisson ?? file?.isPoisson) ? 'poisson' : 'constant',
    stages,
    warmupMs: read('warmup', parseDuration) ?? file?.warmupMs ?? 0,
    requestLimit,
    connections,
    streams: read('streams', (text) => parseCount(text, 1)) ?? file?.streams ?? 1,
    protocol: isHttp2 ? 'h2' : 'http/1.1',
    isKeepalive: values.close === undefined ? (file?.isKeepalive ?? true) : !values.close,
    reconnectAfter: read('reconnect', (text) => parseCount(text, 1)) ?? file?.reconnectAfter ?? 0,
    thinkMs: read('think', parseThink) ?? file?.thinkMs ?? [0, 0],
    sendRate: read('slow-send', parseSize) ?? file?.sendRate ?? 0,
    readRate: read('slow-read', parseSize) ?? file?.readRate ?? 0,
    timeoutMs: read('timeout', parseDuration) ?? file?.timeoutMs ?? 30_000,
    threads,
    authorities: readAuthorities(values.cacert ?? file?.cacert),
    isInsecure: values.insecure ?? file?.isInsecure ?? false,
    seed: read('seed', (text) => parseCount(text, 0)) ?? file?.seed ?? 1,
  };
}

/** `200ms`, or `100ms-300ms`. */
export function parseThink(text: string): [number, number] {
  const [least, most] = text.split('-').map(parseDuration);
  return [least!, most ?? least!];
}

function requestOf(given: string, values: Values): PlannedRequest {
  const match = /^(?:(\d+(?:\.\d+)?)\*)?(.+)$/.exec(given)!;
  const url = match[2]!;
  originOf(url);
  const weight = Number(match[1] ?? 1);
  if (weight <= 0) throw new RangeError(`"${given}": a weight is above 0`);
  const body = values.body === undefined ? undefined : bodyOf(values.body);
  const method = (values.method ?? (body === undefined ? 'GET' : 'POST')).toUpperCase();
  if (!/^[A-Z-]+$/.test(method)) throw new RangeError(`--method: "${method}" is no method`);
  return { name: url, url, method, headers: (values.header ?? []).map(headerOf), body, weight, expect: undefined };
}

/** `TEXT`, or `@FILE`. Throws RangeError when the file cannot be read. */
export function bodyOf(text: string): Uint8Array {
  if (!text.startsWith('@')) return Buffer.from(text);
  try {
    return readFileSync(text.slice(1));
  } catch (error) {
    throw new RangeError(`body: ${(error as Error).message}`);
  }
}

/** `NAME: VALUE`. */
export function headerOf(text: string): [string, string] {
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n]*)$/.exec(text);
  if (match === null) throw new RangeError(`"${text}" is no header field; write 'NAME: VALUE'`);
  return [match[1]!, match[2]!];
}
