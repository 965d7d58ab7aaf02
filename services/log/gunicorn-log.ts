/**
 * Gunicorn's error and access logs: the lines, levels and atoms of glogging.py. The master, every worker and every thread of a
 * worker has one; they share the files.
 */
import { traceback } from '../python-repr.ts';
import type { GunicornSettings } from '../settings/gunicorn-settings.ts';
import { LogFile } from './log-file.ts';
import { parseStatsdAddress, Statsd } from './statsd.ts';

const LEVELS = { debug: 10, info: 20, warning: 30, error: 40, critical: 50 } as const;
type Level = keyof typeof LEVELS;

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');
const two = (number: number): string => String(number).padStart(2, '0');

function zone(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}${two(size % 60)}`;
}

let cachedSecond = -1;
let cachedError = '';
let cachedAccess = '';

// Formatting a date costs more than the rest of a line, and the lines of one second share theirs.
function refresh(now: number): void {
  const second = Math.floor(now / 1000);
  if (second === cachedSecond) return;
  cachedSecond = second;
  const date = new Date(now);
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  cachedError = `[${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock} ${zone(date)}]`;
  cachedAccess = `[${two(date.getDate())}/${MONTHS[date.getMonth()]}/${date.getFullYear()}:${clock} ${zone(date)}]`;
}

/** What an access log line can say about one request; names are the environ's and the response's own. */
export interface AccessRecord {
  readonly remoteAddr: string;
  readonly method: string;
  readonly rawUri: string;
  readonly protocol: string;
  readonly path: string | undefined;
  readonly query: string;
  readonly status: string;
  readonly sentBytes: number;
  readonly durationMs: number;
  readonly requestHeaders: readonly (readonly [string, string])[];
  readonly responseHeaders: readonly (readonly [string, string])[];
  readonly environ: Readonly<Record<string, unknown>>;
}

function basicUser(authorization: string | undefined): string | null {
  if (!authorization?.toLowerCase().startsWith('basic ')) return null;
  const decoded = Buffer.from(authorization.slice(6).trim(), 'base64').toString('utf8');
  return decoded.split(':', 1)[0] || null;
}

type Atom = (record: AccessRecord) => string | number;

const header = (record: AccessRecord, name: string): string | undefined =>
  record.requestHeaders.findLast(([key]) => key === name)?.[1];

const ATOMS: Readonly<Record<string, Atom>> = {
  h: (r) => r.remoteAddr,
  l: () => '-',
  u: (r) => basicUser(header(r, 'AUTHORIZATION')) ?? '-',
  t: () => cachedAccess,
  r: (r) => `${r.method} ${r.rawUri} ${r.protocol}`,
  s: (r) => r.status.split(/\s+/, 1)[0] ?? '-',
  m: (r) => r.method,
  U: (r) => r.path ?? 'None',
  q: (r) => r.query,
  H: (r) => r.protocol,
  b: (r) => r.sentBytes,
  B: (r) => r.sentBytes,
  f: (r) => (r.environ['HTTP_REFERER'] as string | undefined) ?? '-',
  a: (r) => (r.environ['HTTP_USER_AGENT'] as string | undefined) ?? '-',
  T: (r) => Math.floor(r.durationMs / 1000),
  D: (r) => Math.floor(r.durationMs * 1000),
  M: (r) => Math.floor(r.durationMs),
  L: (r) => (r.durationMs / 1000).toFixed(6),
  p: () => `<${process.pid}>`,
};

function compile(format: string): (record: AccessRecord) => string {
  const parts: (string | Atom)[] = [];
  let last = 0;
  for (const match of format.matchAll(/%\(([^)]*)\)[sd]|%%/g)) {
    parts.push(format.slice(last, match.index));
    last = match.index + match[0].length;
    const name = match[1];
    if (name === undefined) parts.push('%');
    else parts.push(atom(name));
  }
  parts.push(format.slice(last));
  return (record) => parts.map((part) => (typeof part === 'string' ? part : quoteSafe(part(record)))).join('');
}

// A client must not be able to end the quoted field of a log line.
const quoteSafe = (value: string | number): string | number =>
  typeof value === 'string' ? value.replaceAll('"', '\\"') : value;

function atom(name: string): Atom {
  const braced = /^\{(.*)\}([ioe])$/i.exec(name);
  if (!braced) return ATOMS[name] ?? (() => '-');
  const key = (braced[1] ?? '').toLowerCase();
  const from = (braced[2] ?? '').toLowerCase();
  return (record) => {
    if (from === 'e') {
      const found = Object.entries(record.environ).find(([each]) => each.toLowerCase() === key);
      return found ? String(found[1]) : '-';
    }
    const headers = from === 'i' ? record.requestHeaders : record.responseHeaders;
    return headers.findLast(([each]) => each.toLowerCase() === key)?.[1] ?? '-';
  };
}

/** The two logs of one process. Throws Error with Gunicorn's text when a file cannot be written. */
export class GunicornLog {
  readonly level: Level;
  #errors: LogFile;
  #accesses: LogFile | null;
  #format: (record: AccessRecord) => string;
  readonly #statsd: Statsd | null;

  constructor(settings: GunicornSettings) {
    const level = settings.loglevel.toLowerCase();
    this.level = level in LEVELS ? (level as Level) : 'info';
    this.#errors = open(settings.errorlog, 2);
    this.#accesses = settings.accesslog === null ? null : open(settings.accesslog, 1);
    this.#format = compile(settings.access_log_format);
    const { statsd_host: host, statsd_prefix: prefix, dogstatsd_tags: tags } = settings;
    this.#statsd = host === null ? null : new Statsd(parseStatsdAddress(host), prefix, tags);
  }

  debug(message: string): void {
    this.#line('debug', message);
  }

  info(message: string): void {
    this.#line('info', message);
  }

  warning(message: string): void {
    this.#line('warning', message);
    this.#statsd?.increment('gunicorn.log.warning');
  }

  error(message: string): void {
    this.#line('error', message);
    this.#statsd?.increment('gunicorn.log.error');
  }

  critical(message: string): void {
    this.#line('critical', message);
    this.#statsd?.increment('gunicorn.log.critical');
  }

  /** An error with where it came from, as logging.exception() writes it. */
  exception(message: string, error: unknown): void {
    this.#line('error', `${message}\n${traceback(error)}`);
    this.#statsd?.increment('gunicorn.log.exception');
  }

  /** A state of the master, for the log and for statsd. */
  gauge(name: string, value: number, message: string): void {
    this.#statsd?.gauge(name, value);
    this.debug(message);
  }

  /** A sample of such a state. */
  histogram(name: string, value: number, message: string): void {
    this.#statsd?.histogram(name, value);
    this.debug(message);
  }

  /** The descriptor of the error log, for what an application prints. */
  get errorFd(): number {
    return this.#errors.fd;
  }

  /** Whether access() has anybody to tell. */
  get wantsAccess(): boolean {
    return this.#accesses !== null || this.#statsd !== null;
  }

  access(record: AccessRecord): void {
    if (this.#accesses) {
      refresh(Date.now());
      this.#accesses.write(this.#format(record));
    }
    if (!this.#statsd) return;
    this.#statsd.timer('gunicorn.request.duration', record.durationMs);
    this.#statsd.increment('gunicorn.requests');
    this.#statsd.increment(`gunicorn.request.status.${Number.parseInt(record.status, 10)}`);
  }

  /** A whole access line, for servers that have a format of their own. */
  accessLine(line: string): void {
    this.#accesses?.write(line);
  }

  /** What wsgi.errors writes: raw text to the error log. */
  write(text: string): void {
    this.#errors.write(text.replace(/\n$/, ''));
  }

  reopen(): void {
    this.#errors.reopen();
    this.#accesses?.reopen();
  }

  close(): void {
    this.#errors.close();
    this.#accesses?.close();
    this.#statsd?.close();
  }

  #line(level: Level, message: string): void {
    if (LEVELS[level] < LEVELS[this.level]) return;
    refresh(Date.now());
    this.#errors.write(`${cachedError} [${process.pid}] [${level.toUpperCase()}] ${message}`);
  }
}

function open(path: string, standardFd: number): LogFile {
  try {
    return new LogFile(path, standardFd);
  } catch (error) {
    throw new Error(`Error: '${path}' isn't writable [${(error as Error).message}]`);
  }
}
