// Reloading proxy and app server under load, and the stop-and-start that people do instead.
import { setTimeout as delay } from 'node:timers/promises';
import { showMs, showNumber } from '../units.ts';
import type { Scenario } from './scenario.ts';
import { rate } from './workbench.ts';

const FLAGS = ['-w', '2', '-k', 'gthread', '--threads', '4'];

export const reloadUnderLoad: Scenario = {
  name: 'reload-under-load',
  question: 'Does a deploy lose requests: HUP against stop and start?',
  asked: 'gunicorn#3394, #2529, #606; galaxyproject/gravity#54',
  expected: 'HUP of the app server and of the proxy loses nothing; stop and start answers 502 meanwhile',
  async run({ rig, load, seconds }) {
    const rows = [['60 requests/s', 'requests', 'errors', 'to repeat', 'p50', 'p99']];
    const failed: number[] = [];
    const length = Math.max(2.5, seconds(6));
    for (const isReload of [true, false]) {
      const title = isReload ? 'HUP to app server and proxy' : 'stop and start of the app server';
      const server = await rig.gunicorn(...FLAGS);
      const proxy = await rig.proxy({ peers: [`127.0.0.1:${server.port} max_fails=0`] });
      const loading = load(title, `${proxy.url}/io?ms=20`, rate(60, length));
      await delay((length / 4) * 1000);
      if (isReload) {
        server.program.signal('SIGHUP');
        await delay((length / 4) * 1000);
        proxy.program.signal('SIGHUP');
      } else {
        await server.program.stop();
        await rig.gunicorn(...FLAGS, '-b', `127.0.0.1:${server.port}`);
      }
      const result = await loading;
      await proxy.program.stop();
      await server.program.stop();
      // A connection that the proxy closed just as a request came: the client has to repeat it, as browsers do. What the
      // proxy has read is in its log, and none of those.
      const taken = [...rig.read(proxy.accessLog).matchAll(/"GET \/io\?/g)].length;
      const repeated = Math.min(result.failures.stale ?? 0, Math.max(0, result.requests - taken));
      failed.push(result.errors - repeated);
      rows.push([
        title,
        showNumber(result.requests),
        showNumber(result.errors - repeated),
        showNumber(repeated),
        showMs(result.latency!.p50),
        showMs(result.latency!.p99),
      ]);
    }
    return {
      table: rows,
      checks: [
        { text: 'a reload loses no request', holds: failed[0] === 0 },
        { text: 'stop and start does', holds: failed[1]! > 0 },
      ],
      explanation:
        'At HUP the arbiter keeps the listening socket, boots new workers and lets the old ones finish; what comes meanwhile waits in the listen queue for a moment. The proxy does the same. Stopped and started, nothing listens for as long as the boot takes, and the proxy answers 502. To repeat are requests that met a connection which the proxy was just closing and never read them; browsers do that by themselves. nginx 1.22 has some at each reload, half a request a reload with eight busy clients.',
      advice:
        'Deploy with HUP (kill -HUP, systemctl reload), or with a second server behind the proxy; without --preload, or new code is not loaded.',
    };
  },
};
