// The keepalive race: the app server closes an idle connection at the same moment as the proxy sends a request on it.
import { showNumber, showShare } from '../units.ts';
import type { Scenario } from './scenario.ts';
import { users } from './workbench.ts';

const NETWORK_MS = 50;
const SERVER_IDLE_S = 1;
/** Between a request's answer and the next: it reaches the server just after it closed, before the proxy can know. */
const THINK_MS = SERVER_IDLE_S * 1000 - NETWORK_MS;

export const keepaliveRace: Scenario = {
  name: 'keepalive-race',
  question: 'Why are there sporadic 502s with keepalive to the app server?',
  asked:
    'conbench/conbench#1156, nodejs/node#47130, PostHog/posthog#17897, iximiuz.com/en/posts/reverse-proxy-http-keep-alive-and-502s',
  expected:
    '502s while the app server closes idle connections before the proxy does, none when the proxy closes them first',
  async run({ rig, load, seconds }) {
    const server = await rig.uvicorn('--timeout-keep-alive', String(SERVER_IDLE_S));
    const peer = await rig.relay(server.port, NETWORK_MS);
    const rows = [['POST about once a second', 'requests', '502', 'errors']];
    const failed: number[] = [];
    for (const { title, idle } of [
      { title: `proxy keeps them 60 s, the app server ${SERVER_IDLE_S} s`, idle: '60s' },
      { title: `proxy keeps them 500 ms, the app server ${SERVER_IDLE_S} s`, idle: '500ms' },
    ]) {
      const proxy = await rig.proxy({ peers: [peer], upstream: ['keepalive 32;', `keepalive_timeout ${idle};`] });
      const result = await load(title, `${proxy.url}/echo`, {
        body: 'an order',
        ...users(8, Math.max(4, seconds(8))),
        thinkMs: [THINK_MS - 10, THINK_MS + 10],
      });
      await proxy.program.stop();
      failed.push(result.statuses[502] ?? 0);
      rows.push([
        title,
        showNumber(result.requests),
        showNumber(result.statuses[502] ?? 0),
        showShare(result.errorShare),
      ]);
    }
    return {
      table: rows,
      checks: [
        { text: 'the longer idle time in the proxy gives 502s', holds: failed[0]! > 0 },
        { text: 'the shorter one gives none', holds: failed[1] === 0 },
      ],
      explanation: `The app server closes a connection that was idle for ${SERVER_IDLE_S} s. For ${NETWORK_MS} ms (the network between them) the proxy does not know, and a request that it sends then is answered with a reset. A GET the proxy tries again on another connection, and nobody notices; a POST it may not repeat, so the client gets a 502.`,
      advice:
        "Let the one who sends requests close first: the proxy's keepalive_timeout in the upstream block must be shorter than the app server's (Gunicorn --keep-alive, Uvicorn --timeout-keep-alive; raise those to 75 behind a load balancer of 60 s).",
    };
  },
};
