/**
 * `portico lab gil`: the same jobs by one thread, by threads under the GIL, by threads without it, and by processes; once with jobs that
 * compute and once with jobs that wait. Threads help where Python waits, processes also where it computes.
 */
import os from 'node:os';
import { createGil, type GilGauges, gilGauges } from '../gil/gil.ts';
import { runCrew } from './crew.ts';
import { JOB_WORDS, MOST_INSIDE } from './job-order.ts';
import { bars, table } from './table.ts';

/** Who does the jobs. */
export type Topology = 'one thread' | 'threads, GIL' | 'threads, no GIL' | 'processes';

/** One run. */
export interface GilRow {
  readonly work: 'cpu' | 'io';
  readonly topology: Topology;
  readonly workers: number;
  readonly wallMs: number;
  /** How many times faster than one thread. */
  readonly speedUp: number;
  /** The most threads that were seen running Python code at once; null where nobody can look, with processes and while waiting. */
  readonly mostAtOnce: number | null;
  readonly gil: GilGauges | null;
}

/** What the experiment found. */
export interface GilResult {
  readonly jobs: number;
  readonly jobMs: number;
  readonly cores: number;
  /** The system's load average of the last minute before the experiment: what else wanted these cores. */
  readonly load: number;
  readonly rows: readonly GilRow[];
}

const TOPOLOGIES: readonly Topology[] = ['one thread', 'threads, GIL', 'threads, no GIL', 'processes'];

/** Runs it: so many jobs of so many ms each. */
export async function gilExperiment({ jobs = 4, jobMs = 150 } = {}): Promise<GilResult> {
  const [cores, load] = [os.availableParallelism(), os.loadavg()[0] ?? 0];
  const rows: GilRow[] = [];
  for (const work of ['cpu', 'io'] as const) {
    let aloneMs = 0;
    for (const topology of TOPOLOGIES) {
      const row = await measure(work, topology, jobs, jobMs);
      if (topology === 'one thread') aloneMs = row.wallMs;
      rows.push({ ...row, speedUp: aloneMs / row.wallMs });
    }
  }
  return { jobs, jobMs, cores, load, rows };
}

async function measure(
  kind: 'cpu' | 'io',
  topology: Topology,
  jobs: number,
  ms: number,
): Promise<Omit<GilRow, 'speedUp'>> {
  const isThreads = topology !== 'processes';
  const workers = topology === 'one thread' ? 1 : jobs;
  const gil = isThreads ? createGil({ isOn: topology !== 'threads, no GIL' }) : null;
  const shared = isThreads ? new SharedArrayBuffer(JOB_WORDS * 4) : null;
  const order = { kind, ms, count: jobs / workers } as const;
  const starts = Array.from({ length: workers }, (_, index) => ({ order, gil, index, workers, shared }));
  const wallMs = await runCrew(isThreads ? 'threads' : 'processes', starts);
  const mostAtOnce = shared && kind === 'cpu' ? (new Int32Array(shared)[MOST_INSIDE] ?? 0) : null;
  return { work: kind, topology, workers, wallMs, mostAtOnce, gil: gil ? gilGauges(gil) : null };
}

/** The result as text. */
export function showGil({ jobs, jobMs, cores, load, rows }: GilResult): string {
  const part = (work: GilRow['work'], title: string, moral: string): string => {
    const own = rows.filter((row) => row.work === work);
    const cells = own.map((row) => [
      row.topology,
      row.workers,
      `${row.wallMs.toFixed(0)} ms`,
      `${row.speedUp.toFixed(2)} ×`,
      row.mostAtOnce ?? '-',
      row.gil?.switches ?? '-',
      row.gil ? `${row.gil.waitMs.toFixed(0)} ms` : '-',
    ]);
    const heading = ['who', 'workers', 'time', 'speed', 'at once', 'GIL switches', 'GIL waits'];
    const chart = bars(
      own.map((row) => [row.topology, Math.round(row.wallMs)]),
      'ms',
    );
    return `${title}\n\n${table(heading, cells)}\n${chart}\n${moral}\n`;
  };
  return `${part(
    'cpu',
    `${jobs} jobs that compute, ${jobMs} ms of CPU time each`,
    'Threads under the GIL compute one at a time: no faster than one thread. Without the GIL, or in processes, they use all cores.',
  )}${busy(cores, load)}\n${part(
    'io',
    `${jobs} jobs that wait, ${jobMs} ms each`,
    'Waiting drops the GIL, so threads wait at the same time: as good as processes, and cheaper.',
  )}`;
}

// Speed-ups need free cores, and who sees none must know why.
function busy(cores: number, load: number): string {
  if (cores > 1 && load < cores / 2) return '';
  const which = cores === 1 ? 'This machine has one core' : `Other programs want this machine's ${cores} cores as well`;
  return `(${which}, load average ${load.toFixed(1)}: the gain without the GIL is smaller than on free cores.)\n`;
}
