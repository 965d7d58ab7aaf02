// Threads under the GIL against processes, for work that computes. What is judged is for how many cores each had use: that is
// the same on a machine that others keep busy, where requests/s is not.
import { availableParallelism } from 'node:os';
import { cpuDemand, familyOf } from '../rig/processes.ts';
import { showMs, showNumber } from '../units.ts';
import type { Check, Scenario } from './scenario.ts';
import { users } from './workbench.ts';

const CELLS = [
  { title: '1 worker x 4 threads', flags: ['-w', '1', '-k', 'gthread', '--threads', '4'] },
  { title: '4 workers (processes)', flags: ['-w', '4', '-k', 'sync'] },
  { title: '1 worker x 4 threads, no GIL', flags: ['-w', '1', '-k', 'gthread', '--threads', '4', '--gil', 'off'] },
] as const;
const CORES_TELL = 1.25;
/** More than threads under a GIL could ever use. */
const ONE_CORE = 1.3;

interface Cell {
  readonly title: string;
  readonly rate: number;
  /** Cores it had, and cores it had use for; NaN where the kernel does not tell. */
  readonly used: number;
  readonly wanted: number;
}

export const threadsOrProcesses: Scenario = {
  name: 'threads-or-processes',
  question: 'Threads or processes for requests that compute?',
  asked: 'SeldonIO/seldon-core#3332, stackoverflow.com/questions/38425620, gunicorn#1045',
  expected: 'threads of one worker get one core between them; processes, or threads without a GIL, get all cores',
  async run({ rig, load, seconds }) {
    const rows = [['/cpu?ms=10, 8 connections', 'requests/s', 'p50', 'p99', 'cores used', 'cores wanted']];
    const cells: Cell[] = [];
    for (const { title, flags } of CELLS) {
      const server = await rig.gunicorn(...flags);
      const family = familyOf([server.program.pid]);
      const before = cpuDemand(family);
      const startMs = performance.now();
      const { requestsPerSecond, latency } = await load(title, `${server.url}/cpu?ms=10`, users(8, seconds(5)));
      const after = cpuDemand(family);
      const wallMs = performance.now() - startMs;
      await server.program.stop();
      const isTold = before !== undefined && after !== undefined;
      const used = isTold ? (after.ranMs - before.ranMs) / wallMs : Number.NaN;
      const wanted = isTold ? used + (after.waitedMs - before.waitedMs) / wallMs : Number.NaN;
      cells.push({ title, rate: requestsPerSecond, used, wanted });
      const cores = isTold ? [used.toFixed(1), wanted.toFixed(1)] : ['', ''];
      rows.push([title, showNumber(requestsPerSecond), showMs(latency!.p50), showMs(latency!.p99), ...cores]);
    }
    const [threads, processes, free] = cells as [Cell, Cell, Cell];
    return {
      table: rows,
      checks: [
        ...(Number.isNaN(threads.wanted)
          ? []
          : [
              { text: 'threads use one core between them', holds: threads.used < ONE_CORE },
              { text: 'processes have use for more cores', holds: processes.wanted > threads.wanted * CORES_TELL },
              { text: 'so have threads without a GIL', holds: free.wanted > threads.wanted * CORES_TELL },
            ]),
        beats('processes beat threads', processes, threads),
        beats('threads without a GIL beat threads with it', free, threads),
      ],
      explanation: `Each request needs 10 ms of CPU in Python. Four threads take turns at one GIL, so they use one core however many there are, and hand it over every 5 ms, which only makes everybody late. Processes have a GIL each and use all ${availableParallelism()} cores. Cores wanted are those used and, beside them, the time for which one was ready to run and another program had the core.`,
      advice: 'For work that computes: as many workers as cores, one thread each. Threads are for requests that wait.',
    };
  },
};

/** That one serves more than the other: of no meaning on one core, and where other programs had the cores. */
function beats(text: string, more: Cell, less: Cell): Check {
  const cores = availableParallelism();
  if (cores === 1) return { text: `${text}: not judged, there is one core`, holds: true };
  if (more.used < Math.min(cores, 4) * 0.75 || less.used < 0.75)
    return { text: `${text}: not judged, other programs had the cores`, holds: true };
  return { text, holds: more.rate > less.rate * CORES_TELL };
}
