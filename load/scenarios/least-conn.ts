// Round robin against least_conn with requests of very different length.
import { showMs, showNumber } from '../units.ts';
import type { Scenario } from './scenario.ts';
import { plannedRequest, rate, usualPlan } from './workbench.ts';

export const leastConn: Scenario = {
  name: 'least-conn',
  question: 'Round robin or least_conn when requests are unequal?',
  asked: 'gunicorn#3433, #2191; blog.cloudflare.com/the-sad-state-of-linux-socket-balancing',
  expected: 'round robin piles the slow requests up at one peer while the other idles; least_conn spreads them',
  async run({ rig, run, seconds }) {
    const peers: string[] = [];
    for (let count = 0; count < 2; count++) {
      const server = await rig.gunicorn('-w', '1', '-k', 'gthread', '--threads', '4');
      peers.push(`127.0.0.1:${server.port}`);
    }
    const rows = [['every second request waits 200 ms', 'requests/s', 'p50', 'p95', 'max']];
    const p95: number[] = [];
    for (const { title, upstream } of [
      { title: 'round robin', upstream: [] },
      { title: 'least_conn', upstream: ['least_conn;'] },
    ]) {
      const proxy = await rig.proxy({ peers, upstream });
      const requests = [plannedRequest(`${proxy.url}/io?ms=200`), plannedRequest(`${proxy.url}/io?ms=2`)];
      const plan = usualPlan(title, requests, { ...rate(60, Math.max(2, seconds(5))), order: 'sequence' });
      const result = await run(title, plan);
      await proxy.program.stop();
      p95.push(result.latency!.p95);
      rows.push([
        title,
        showNumber(result.requestsPerSecond),
        showMs(result.latency!.p50),
        showMs(result.latency!.p95),
        showMs(result.latency!.max),
      ]);
    }
    return {
      table: rows,
      checks: [{ text: "least_conn's p95 is at most two thirds of round robin's", holds: p95[1]! < p95[0]! * 0.67 }],
      explanation:
        'Round robin counts requests, not work. Here slow and fast ones alternate, so one of the two peers gets all the slow ones: 30 a second at 200 ms each for its 4 threads, which serve 20. least_conn gives a request to the peer with the fewest on its hands, and so follows the work.',
      advice:
        'least_conn when requests differ much in length (and zone, so that worker processes count together); random two least_conn with many proxies.',
    };
  },
};
