// What a run of the bench found: the figures of each peer and case, what they are held against, and the lines and the file that
// they are written as.

export interface Measured {
  readonly requestsPerSecond: number;
  readonly cpuMicrosPerRequest: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly errors: number;
  readonly residentMb: number;
}

export interface Row extends Measured {
  readonly peer: string;
  /** The row that this one is held against. */
  readonly against: string;
  /** CPU time per request, by that of `against`. */
  readonly ratio: number;
}

export interface CaseResult {
  readonly name: string;
  readonly rows: readonly Row[];
}

export interface StandingRow {
  readonly peer: string;
  readonly startMs: number;
  /** Growth of the resident memory a connection; NaN when they could not all be opened. */
  readonly idleKb: number;
}

export interface BenchResults {
  readonly format: 'portico-bench/1';
  readonly startedAt: string;
  readonly machine: string;
  readonly settings: { readonly seconds: number; readonly rounds: number; readonly connections: number };
  /** Why peers and cases are not in it. */
  readonly leftOut: readonly string[];
  readonly cases: readonly CaseResult[];
  readonly standing: readonly StandingRow[];
}

/** The middle one; of an even number the higher of the two. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** The median of each figure, and the most errors. */
export function medianOf(all: readonly Measured[]): Measured {
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

/** Rows with their ratios; `against` names one of `peers` itself. */
export function withRatios(peers: ReadonlyArray<Measured & { peer: string; against: string }>): Row[] {
  const cpu = new Map(peers.map(({ peer, cpuMicrosPerRequest }) => [peer, cpuMicrosPerRequest]));
  return peers.map((row) => ({ ...row, ratio: row.cpuMicrosPerRequest / (cpu.get(row.against) ?? Number.NaN) }));
}

export const HEAD = `${'case'.padEnd(30)} ${'peer'.padEnd(19)}   req/s CPU us/req  ratio  p50 ms  p99 ms errors RSS MB`;

/** A figure as text; `-` for what there is none of. */
export function figure(value: number | null, digits: number): string {
  return value !== null && Number.isFinite(value) ? value.toFixed(digits) : '-';
}

/** One line below HEAD. */
export function line(name: string, row: Row): string {
  return [
    name.padEnd(30),
    row.peer.padEnd(19),
    figure(row.requestsPerSecond, 0).padStart(7),
    figure(row.cpuMicrosPerRequest, 1).padStart(10),
    figure(row.ratio, 2).padStart(6),
    figure(row.p50Ms, 2).padStart(7),
    figure(row.p99Ms, 2).padStart(7),
    figure(row.errors, 0).padStart(6),
    figure(row.residentMb, 0).padStart(6),
  ].join(' ');
}
