// One of two peers is down: what max_fails and proxy_next_upstream make of it.
import { showNumber, showShare } from '../units.ts';
import type { Scenario } from './scenario.ts';
import { rate } from './workbench.ts';

const CELLS = [
  { title: 'max_fails=0, no retry', parameters: ' max_fails=0', location: ['proxy_next_upstream off;'] },
  {
    title: 'max_fails=1 fail_timeout=10s, no retry',
    parameters: ' max_fails=1 fail_timeout=10s',
    location: ['proxy_next_upstream off;'],
  },
  { title: 'max_fails=0, retry (the default)', parameters: ' max_fails=0', location: [] },
] as const;

export const deadPeer: Scenario = {
  name: 'dead-peer',
  question: 'One peer is down: how many requests fail?',
  asked: 'nginx-proxy/nginx-proxy#1495, nginx/nginx#340; aptible/docker-nginx#131',
  expected: 'half of them when nothing is counted nor retried; one or two with max_fails; none with a retry',
  async run({ rig, load, seconds }) {
    const server = await rig.gunicorn('-w', '2', '-k', 'gthread', '--threads', '4');
    const dead = await rig.deadAddress();
    const rows = [['50 requests/s, 1 of 2 peers down', 'requests', 'errors', 'connection refused, in the error log']];
    const shares: number[] = [];
    const refusals: number[] = [];
    for (const { title, parameters, location } of CELLS) {
      const proxy = await rig.proxy({
        peers: [`127.0.0.1:${server.port}${parameters}`, `${dead}${parameters}`],
        location,
      });
      const result = await load(title, `${proxy.url}/`, rate(50, Math.max(1, seconds(3))));
      const refused = [...rig.read(proxy.errorLog).matchAll(/connect\(\) failed \(111/g)].length;
      await proxy.program.stop();
      shares.push(result.errorShare);
      refusals.push(refused);
      rows.push([
        title,
        showNumber(result.requests),
        `${showNumber(result.errors)} (${showShare(result.errorShare)})`,
        showNumber(refused),
      ]);
    }
    return {
      table: rows,
      checks: [
        {
          text: 'without counting and retrying half of the requests fail',
          holds: shares[0]! > 0.4 && shares[0]! < 0.6,
        },
        { text: 'with max_fails=1 only the first finds out', holds: shares[1]! > 0 && refusals[1]! <= 2 },
        {
          text: 'with a retry none fails, but every second one tries the dead peer first',
          holds: shares[2] === 0 && refusals[2]! > refusals[1]!,
        },
      ],
      explanation:
        'Round robin gives the dead peer its turn until it is counted out: after max_fails failures within fail_timeout it is left alone for fail_timeout. proxy_next_upstream hides what is left from the client, by asking the other peer.',
      advice:
        'Keep both (the defaults: max_fails=1 fail_timeout=10s, proxy_next_upstream error timeout). With a single peer, or peers that a crashing request would count out one by one, max_fails=0 keeps "no live upstreams" away.',
    };
  },
};
