// Clients on slow lines against sync workers, with and without the proxy buffering their requests.
import { showMs, showNumber } from '../units.ts';
import type { Scenario } from './scenario.ts';
import { plannedRequest, rate, users, usualPlan } from './workbench.ts';

export const slowClients: Scenario = {
  name: 'slow-clients',
  question: 'What do a few slow clients do to sync workers, and what does proxy_request_buffering change?',
  asked: 'gunicorn#3240, #2652; pypi/warehouse#20110; 18F/before-you-ship#241',
  expected: 'without buffering two slow uploads hold both workers and everybody waits; with it nobody notices them',
  async run({ rig, run, seconds }) {
    const rows = [['2 sync workers, 4 slow uploads', 'fast requests answered', 'p50', 'p95']];
    const p95: number[] = [];
    const length = Math.max(2, seconds(5));
    for (const mode of ['off', 'on'] as const) {
      const title = `proxy_request_buffering ${mode}`;
      const server = await rig.gunicorn('-w', '2', '-k', 'sync');
      const proxy = await rig.proxy({
        peers: [`127.0.0.1:${server.port}`],
        location: [`proxy_request_buffering ${mode};`],
      });
      const slowly = usualPlan(`${title}: slow uploads`, [plannedRequest(`${proxy.url}/echo`, 'x'.repeat(20_000))], {
        ...users(4, length),
        sendRate: 20_000 / (length * 0.9),
      });
      const quickly = usualPlan(`${title}: fast requests`, [plannedRequest(`${proxy.url}/`)], rate(40, length * 0.8));
      const [, fast] = await Promise.all([run(slowly.name, slowly), run(quickly.name, quickly)]);
      await proxy.program.stop();
      await server.program.stop();
      p95.push(fast.latency!.p95);
      rows.push([title, showNumber(fast.statuses[200] ?? 0), showMs(fast.latency!.p50), showMs(fast.latency!.p95)]);
    }
    return {
      table: rows,
      checks: [
        { text: 'without buffering fast requests wait for slow clients', holds: p95[0]! > 500 },
        { text: 'with it they wait at least five times less', holds: p95[0]! > p95[1]! * 5 },
      ],
      explanation:
        "A sync worker reads the request's body itself, at the client's speed: two uploads on slow lines are two workers that do nothing else. With buffering the proxy, which waits for thousands of clients at no cost, takes the body in and hands the worker a request that is complete.",
      advice:
        'Leave proxy_request_buffering on (the default) in front of sync workers, and never expose them without a proxy. Turn it off only for uploads that must stream, to a location of their own with threads behind it.',
    };
  },
};
