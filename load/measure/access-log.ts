// The proxy's view of the same requests: the lines that its access log got during the run. Any nginx log_format will do that has
// its times as KEY=VALUE (rt=$request_time uct=$upstream_connect_time uht=$upstream_header_time urt=$upstream_response_time
// ua=$upstream_addr), as the default nginx.conf of Portico has. Its resolution is nginx's: one millisecond.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type HopTable, tableOf } from './hop-table.ts';
import type { Lanes } from './result.ts';

const COLUMNS = [
  { name: 'proxy', meaning: 'the proxy itself: reading the request, sending the response, limits' },
  { name: 'connect', meaning: 'connecting to the upstream' },
  { name: 'header', meaning: 'waiting for the upstream (queue and app)' },
  { name: 'body', meaning: 'reading its body' },
];
const PATIENCE_MS = 2000;
const LOOK_MS = 50;

/** What the log says. */
export interface LoggedTimes {
  readonly lines: number;
  readonly hops: HopTable | undefined;
  readonly lanes: Lanes | undefined;
}

export class AccessLogTail {
  readonly #path: string;
  readonly #from: number;

  /** Notes where the log ends now. Throws the system's error when it cannot be read. */
  constructor(path: string) {
    this.#path = path;
    const file = openSync(path, 'r');
    this.#from = fstatSync(file).size;
    closeSync(file);
  }

  /** Reads what came since; waits a little until there are `expected` lines, as logs may be buffered. */
  async read(expected: number): Promise<LoggedTimes> {
    const until = Date.now() + PATIENCE_MS;
    let lines = this.#lines();
    while (lines.length < expected && Date.now() < until) {
      await delay(LOOK_MS);
      lines = this.#lines();
    }
    return readAccessLog(lines);
  }

  #lines(): string[] {
    const file = openSync(this.#path, 'r');
    try {
      const { size } = fstatSync(file);
      // A log that is smaller than it was has been rotated.
      const from = size < this.#from ? 0 : this.#from;
      const data = Buffer.alloc(size - from);
      readSync(file, data, 0, data.length, from);
      return data.toString('latin1').split('\n').slice(0, -1);
    } finally {
      closeSync(file);
    }
  }
}

/** Reads lines of an access log; those without rt= are passed over. */
export function readAccessLog(lines: readonly string[]): LoggedTimes {
  const requests: Array<{ total: number; parts: number[] }> = [];
  const peers = new Map<string, Map<number, number>>();
  const seconds: number[] = [];
  for (const line of lines) {
    const fields = new Map<string, string>();
    for (const [, key, value] of line.matchAll(/\b([a-z_]+)=("[^"]*"|[^\s"]+(?:[,:] [^\s=]+(?=[\s,]|$))*)/g))
      fields.set(key!, value!.replaceAll('"', ''));
    const total = milliseconds(fields.get('rt'));
    if (total === undefined) continue;
    const connect = milliseconds(fields.get('uct')) ?? 0;
    const header = milliseconds(fields.get('uht')) ?? 0;
    const response = Math.max(milliseconds(fields.get('urt')) ?? 0, header);
    // Of a request that another upstream got at last, times are per try; milliseconds() has added them up.
    const waiting = Math.max(0, (header === 0 ? response : header) - connect);
    requests.push({
      total,
      parts: [Math.max(0, total - response), connect, waiting, header === 0 ? 0 : response - header],
    });
    const at = instantOf(line);
    const peer = fields.get('ua');
    if (at === undefined || peer === undefined || peer === '-') continue;
    seconds.push(at);
    for (const one of peer.split(/, | : /)) {
      const counts = peers.get(one) ?? new Map<number, number>();
      counts.set(at, (counts.get(at) ?? 0) + 1);
      peers.set(one, counts);
    }
  }
  return { lines: lines.length, hops: tableOf(requests, COLUMNS), lanes: lanesOf(peers, seconds) };
}

function lanesOf(
  peers: ReadonlyMap<string, ReadonlyMap<number, number>>,
  seconds: readonly number[],
): Lanes | undefined {
  if (peers.size === 0) return undefined;
  const first = seconds.reduce((least, at) => Math.min(least, at), Number.POSITIVE_INFINITY);
  const last = seconds.reduce((most, at) => Math.max(most, at), 0);
  const names = [...peers.keys()].sort();
  return {
    source: 'peer',
    unit: 'requests/s',
    names,
    values: names.map((name) =>
      Array.from({ length: last - first + 1 }, (_, index) => peers.get(name)!.get(first + index) ?? 0),
    ),
  };
}

/** Sums `0.012`, `0.001, 0.020` or `0.001 : 0.020` (s) in ms; undefined for none. */
function milliseconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const values = text
    .split(/[,:]\s*|\s+/)
    .map(Number)
    .filter(Number.isFinite);
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) * 1000;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** The second of `[22/Nov/2026:15:15:08 +0000]`. */
function instantOf(line: string): number | undefined {
  const match = /\[(\d\d)\/(\w{3})\/(\d{4}):(\d\d):(\d\d):(\d\d) [+-]\d{4}\]/.exec(line);
  if (match === null) return undefined;
  const [, day, month, year, hour, minute, second] = match;
  return (
    Date.UTC(Number(year), MONTHS.indexOf(month!), Number(day), Number(hour), Number(minute), Number(second)) / 1000
  );
}
