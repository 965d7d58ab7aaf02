// The listen queue: what happens to connections when all workers are busy, and when the queue is full.
import { showMs, showNumber } from '../units.ts';
import type { Scenario } from './scenario.ts';
import { users } from './workbench.ts';

export const backlogOverflow: Scenario = {
  name: 'backlog-overflow',
  question: 'All workers are busy: where do connections wait, and what if the listen queue is full?',
  asked: 'gunicorn#2183, #2200, #1972, #1190, #2698',
  expected: 'in a long queue they wait their turn; a full one drops the SYN, and the client tries again after a second',
  async run({ rig, load, seconds }) {
    const rows = [
      [
        '1 sync worker, 50 ms a request, 16 clients',
        'requests/s',
        'p50',
        'p99',
        'connecting, p99',
        'given up after 5 s',
      ],
    ];
    const connecting: number[] = [];
    for (const backlog of [1, 2048]) {
      const title = `--backlog ${backlog}`;
      const server = await rig.gunicorn('-w', '1', '-k', 'sync', '--backlog', String(backlog));
      const result = await load(title, `${server.url}/io?ms=50`, {
        ...users(16, Math.max(2, seconds(4))),
        isKeepalive: false,
        timeoutMs: 5000,
      });
      await server.program.stop();
      const connect = result.hops?.rows.find(({ hop }) => hop === 'connect')?.all.p99 ?? 0;
      connecting.push(connect);
      rows.push([
        title,
        showNumber(result.requestsPerSecond),
        showMs(result.latency!.p50),
        showMs(result.latency!.p99),
        showMs(connect),
        showNumber(result.errors),
      ]);
    }
    return {
      table: rows,
      checks: [
        {
          text: 'with a full queue connecting takes a second or more (Linux tries again after 1, 3, 7 s)',
          holds: connecting[0]! >= 900,
        },
        { text: 'with a long one it takes no time, and requests wait inside', holds: connecting[1]! < 500 },
      ],
      explanation:
        'The kernel completes connections without the app server and queues them, at most min(backlog, net.core.somaxconn) + 1. When that is full, Linux drops the next SYN without a word; the client sends it again after 1 s, then 2 s, 4 s. So throughput hardly falls, but some requests take seconds, and others, which came later, none.',
      advice:
        'A p99 of a little over 1, 3 or 7 s is a dropped SYN: watch ListenOverflows in /proc/net/netstat, and ss -lt. A longer queue only hides it; more workers, or refusing early (limit_conn, 503), cures it.',
    };
  },
};
