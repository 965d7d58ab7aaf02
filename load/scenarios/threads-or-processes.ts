// Threads under the GIL against processes, for work that computes.
import { availableParallelism } from 'node:os';
import { showMs, showNumber } from '../units.ts';
import type { Scenario } from './scenario.ts';
import { users } from './workbench.ts';

const CELLS = [
  { title: '1 worker x 4 threads', flags: ['-w', '1', '-k', 'gthread', '--threads', '4'] },
  { title: '4 workers (processes)', flags: ['-w', '4', '-k', 'sync'] },
  { title: '1 worker x 4 threads, no GIL', flags: ['-w', '1', '-k', 'gthread', '--threads', '4', '--gil', 'off'] },
] as const;
const CORES_TELL = 1.25;

export const threadsOrProcesses: Scenario = {
  name: 'threads-or-processes',
  question: 'Threads or processes for requests that compute?',
  asked: 'SeldonIO/seldon-core#3332, stackoverflow.com/questions/38425620, gunicorn#1045',
  expected: 'threads of one worker get one core between them; processes, or threads without a GIL, get all cores',
  async run({ rig, load, seconds }) {
    const rows = [['/cpu?ms=10, 8 connections', 'requests/s', 'p50', 'p99']];
    const rates: number[] = [];
    for (const { title, flags } of CELLS) {
      const server = await rig.gunicorn(...flags);
      const { requestsPerSecond, latency } = await load(title, `${server.url}/cpu?ms=10`, users(8, seconds(5)));
      await server.program.stop();
      rates.push(requestsPerSecond);
      rows.push([title, showNumber(requestsPerSecond), showMs(latency!.p50), showMs(latency!.p99)]);
    }
    const [threads, processes, free] = rates as [number, number, number];
    // On one core there is nothing to gain, and that is the expected outcome there.
    const gains = availableParallelism() > 1;
    return {
      table: rows,
      checks: [
        {
          text: gains ? 'processes beat threads' : 'one core: nothing to gain',
          holds: !gains || processes > threads * CORES_TELL,
        },
        {
          text: gains ? 'threads without a GIL beat threads with it' : 'one core: nothing to gain',
          holds: !gains || free > threads * CORES_TELL,
        },
      ],
      explanation: `Each request needs 10 ms of CPU in Python. Four threads take turns at one GIL, so they use one core however many there are, and hand it over every 5 ms, which only makes everybody late. Processes have a GIL each and use all ${availableParallelism()} cores.`,
      advice: 'For work that computes: as many workers as cores, one thread each. Threads are for requests that wait.',
    };
  },
};
