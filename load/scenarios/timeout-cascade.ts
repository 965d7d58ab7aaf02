// Gunicorn's --timeout with sync workers: slow requests get their worker killed, and the client a 502 without a word in the
// app's log.
import { showMs, showNumber } from '../units.ts';
import type { Scenario } from './scenario.ts';
import { plannedRequest, users, usualPlan } from './workbench.ts';

const CELLS = [
  { title: 'sync, --timeout 3', flags: ['-w', '2', '-k', 'sync', '--timeout', '3'] },
  { title: 'sync, --timeout 20', flags: ['-w', '2', '-k', 'sync', '--timeout', '20'] },
  { title: 'gthread, --timeout 3', flags: ['-w', '2', '-k', 'gthread', '--threads', '4', '--timeout', '3'] },
] as const;
const SLOW_MS = 5000;

export const timeoutCascade: Scenario = {
  name: 'timeout-cascade',
  question: 'WORKER TIMEOUT in the log and 502s at the client: what does --timeout kill?',
  asked: 'gunicorn#3323, #3136, #1194, #517',
  expected:
    'sync workers are killed in the middle of slow requests (502 or 500); with a longer timeout, or threads, the same requests are answered',
  async run({ rig, run, seconds }) {
    const rows = [['1 in 4 requests waits 5 s', 'answered', '502 or 500', 'workers killed', 'p50 of the fast']];
    const stacks = [];
    for (const { title, flags } of CELLS) {
      const server = await rig.gunicorn(...flags);
      stacks.push({ title, server, proxy: await rig.proxy({ peers: [`127.0.0.1:${server.port}`] }) });
    }
    // They wait most of the time, and so do not disturb each other.
    const cells = await Promise.all(
      stacks.map(async ({ title, server, proxy }) => {
        const requests = [
          plannedRequest(`${proxy.url}/io?ms=10`, undefined, 3),
          plannedRequest(`${proxy.url}/io?ms=${SLOW_MS}`),
        ];
        const result = await run(title, usualPlan(title, requests, { ...users(4, seconds(6)), order: 'sequence' }));
        const killed = server.program.count(/WORKER TIMEOUT/);
        await proxy.program.stop();
        await server.program.stop();
        const { statuses, kinds } = result;
        const failed = (statuses[502] ?? 0) + (statuses[500] ?? 0);
        const fast = showMs(kinds[0]!.latency?.p50 ?? Number.NaN);
        return {
          failed,
          killed,
          row: [title, showNumber(statuses[200] ?? 0), showNumber(failed), showNumber(killed), fast],
        };
      }),
    );
    rows.push(...cells.map(({ row }) => row));
    const [short, long, threads] = cells as [(typeof cells)[0], (typeof cells)[0], (typeof cells)[0]];
    return {
      table: rows,
      checks: [
        {
          text: 'sync workers that exceed --timeout are killed, and their request fails',
          holds: short.killed > 0 && short.failed > 0,
        },
        { text: 'a timeout above the slowest request kills nobody', holds: long.killed === 0 && long.failed === 0 },
        {
          text: 'threads keep the heartbeat going, and nobody is killed',
          holds: threads.killed === 0 && threads.failed === 0,
        },
      ],
      explanation:
        "--timeout is a heartbeat of the worker process, not a limit for requests. A sync worker that sits in one request cannot beat, and is aborted and killed with the request half done: nginx says 'upstream prematurely closed connection' and answers 502, or the dying worker itself says 500 (newer versions of Gunicorn). While its successor boots, the others queue. A gthread worker's main thread goes on beating whatever its threads do.",
      advice:
        'Set --timeout above the slowest honest request, or move that work out of the request; give the client its limit with proxy_read_timeout, which answers 504 and kills nobody.',
    };
  },
};
