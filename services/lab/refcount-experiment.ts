/**
 * `portico lab refcount`: why there is a GIL. Threads take references to one object, which is an addition to its reference count. Without
 * the lock two threads read the same count and one update is lost: the object is freed while it is in use. With the lock none is lost;
 * nor with atomic additions, which is how a build without the GIL does it, and what each of them costs is in the table.
 */
import { createGil, gilGauges } from '../gil/gil.ts';
import { runCrew } from './crew.ts';
import { JOB_WORDS, REFERENCES } from './job-order.ts';
import { bars, table } from './table.ts';

const MOST_ROUNDS = 20;

/** How the count is protected. */
export type Protection = 'none' | 'GIL' | 'atomic';

/** One run. */
export interface RefcountRow {
  readonly protection: Protection;
  readonly expected: number;
  readonly counted: number;
  readonly lost: number;
  readonly wallMs: number;
  readonly switches: number;
  /** How often it was tried: without a lock, until two threads met. */
  readonly rounds: number;
}

/** What the experiment found. */
export interface RefcountResult {
  readonly threads: number;
  readonly updates: number;
  readonly rows: readonly RefcountRow[];
}

/** Runs it: so many threads take so many references each. */
export async function refcountExperiment({ threads = 2, updates = 20_000_000 } = {}): Promise<RefcountResult> {
  const rows: RefcountRow[] = [];
  for (const protection of ['none', 'GIL', 'atomic'] as const) {
    let row = await countWith(protection, threads, updates);
    // Two threads that the system has run one after the other never meet; that is luck, and no proof of safety.
    for (let round = 2; protection === 'none' && row.lost === 0 && round <= MOST_ROUNDS; round++) {
      row = { ...(await countWith(protection, threads, updates)), rounds: round };
    }
    rows.push(row);
  }
  return { threads, updates, rows };
}

async function countWith(protection: Protection, threads: number, updates: number): Promise<RefcountRow> {
  const gil = createGil({ isOn: protection === 'GIL' });
  const shared = new SharedArrayBuffer(JOB_WORDS * 4);
  const words = new Int32Array(shared);
  words[REFERENCES] = 1;
  const order = { kind: 'refcount', updates, isAtomic: protection === 'atomic' } as const;
  const starts = Array.from({ length: threads }, (_, index) => ({ order, gil, index, workers: threads, shared }));
  const wallMs = await runCrew('threads', starts);
  const expected = 1 + threads * updates;
  const counted = Atomics.load(words, REFERENCES);
  const { switches } = gilGauges(gil);
  return { protection, expected, counted, lost: expected - counted, wallMs, switches, rounds: 1 };
}

const NAMES: Readonly<Record<Protection, string>> = {
  none: 'no lock',
  GIL: 'under the GIL',
  atomic: 'atomic, no GIL',
};

/** The result as text. */
export function showRefcount({ threads, updates, rows }: RefcountResult): string {
  const number = (value: number): string => value.toLocaleString('en-US');
  const cells = rows.map((row) => [
    NAMES[row.protection],
    number(row.expected),
    number(row.counted),
    number(row.lost),
    `${row.wallMs.toFixed(0)} ms`,
    row.protection === 'GIL' ? row.switches : '-',
  ]);
  const lost = rows.find((row) => row.protection === 'none')?.lost ?? 0;
  return `${threads} threads take ${number(updates)} references each to one object

${table(['count kept', 'references', 'counted', 'lost', 'time', 'GIL switches'], cells)}
lost updates
${bars(
  rows.map((row) => [NAMES[row.protection], row.lost]),
  '',
)}
Without a lock ${number(lost)} references are not in the count: when the others are given back, it reaches zero, and the
object is freed while these still point to it. Under the GIL only one thread counts at a time.
`;
}
