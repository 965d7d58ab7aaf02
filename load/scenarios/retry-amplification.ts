// Retries multiply the work of a backend that is slow already.
import { showMs, showNumber } from '../units.ts';
import type { Scenario } from './scenario.ts';
import { users } from './workbench.ts';

const PEERS = 3;

export const retryAmplification: Scenario = {
  name: 'retry-amplification',
  question: 'The backend is slow: what do the retries of the proxy add?',
  asked: 'openresty/openresty#200, apache/apisix#4685, Kong/kong#3698, gunicorn#1976',
  expected: 'each request is executed once on every peer, and still fails; with one try it is executed once',
  async run({ rig, load, seconds }) {
    const rows = [
      ['proxy_read_timeout 200ms, the app needs 500 ms', 'requests', 'executed by the app', 'a request', '504', 'p50'],
    ];
    const amplified: number[] = [];
    for (const { title, location } of [
      { title: `retry on timeout, ${PEERS} peers`, location: [] },
      { title: 'proxy_next_upstream_tries 1', location: ['proxy_next_upstream_tries 1;'] },
    ]) {
      const servers = [];
      for (let count = 0; count < PEERS; count++)
        servers.push(await rig.gunicorn('-w', '1', '-k', 'gthread', '--threads', '8', '--access-logfile', '-'));
      const proxy = await rig.proxy({
        peers: servers.map(({ port }) => `127.0.0.1:${port} max_fails=0`),
        location: ['proxy_read_timeout 200ms;', 'proxy_next_upstream error timeout;', ...location],
      });
      const result = await load(title, `${proxy.url}/io?ms=500`, users(4, Math.max(1.5, seconds(3))));
      await proxy.program.stop();
      // At its end a server finishes what it has begun, whether anybody waits for it or not.
      for (const { program } of servers) await program.stop();
      const executed = servers.reduce((sum, { program }) => sum + program.count(/"GET \/io\?ms=500/), 0);
      amplified.push(executed / result.requests);
      rows.push([
        title,
        showNumber(result.requests),
        showNumber(executed),
        (executed / result.requests).toFixed(1),
        showNumber(result.statuses[504] ?? 0),
        showMs(result.latency!.p50),
      ]);
    }
    return {
      table: rows,
      checks: [
        { text: `with retries the app works ${PEERS} times for each request`, holds: amplified[0]! > PEERS - 0.5 },
        { text: 'with one try it works once', holds: amplified[1]! < 1.2 },
      ],
      explanation:
        'A try that timed out is not cancelled: the app goes on with it, for nobody. The proxy starts the next one on the next peer, so when the whole backend is slow, its work is multiplied by the number of peers, at the moment when it can least do it.',
      advice:
        'Limit proxy_next_upstream_tries (2) and proxy_next_upstream_timeout, keep timeout out of proxy_next_upstream for what is expensive, and order the timeouts so that the inner ones are the shorter.',
    };
  },
};
