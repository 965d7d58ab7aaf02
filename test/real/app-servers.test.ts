// Sends the same requests to the real Gunicorn and Uvicorn with Python twins of the demo applications, and to ours, and compares status
// line, header names, order and values, and bodies; directly and through our proxy. Then the bytes that a parser meets, and what happens
// when servers are signaled, starved and broken. Skipped where the originals are not to be had; see app-servers/peers.ts.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../proxy/start-proxy.ts';
import { type Running, rawRequest } from '../services/server-process.ts';
import { CORPUS } from './app-servers/corpus.ts';
import { ASKS, bytesOf } from './app-servers/endpoints.ts';
import { GUNICORN_SCENARIOS } from './app-servers/gunicorn-scenarios.ts';
import { HANDSHAKE_SCENARIO } from './app-servers/handshakes.ts';
import { findPeers, type Side } from './app-servers/peers.ts';
import { STATSD_SCENARIO } from './app-servers/statsd-scenario.ts';
import { TLS_SCENARIOS } from './app-servers/tls-scenarios.ts';
import { UVICORN_SCENARIOS } from './app-servers/uvicorn-scenarios.ts';

const peers = findPeers();
if ('reason' in peers) console.log(`app-servers: skipped, ${peers.reason}`);
const sides = 'reason' in peers ? null : peers;

type Pair<Value> = { readonly real: Value; readonly ours: Value };

async function both<Value>(make: (side: Side) => Promise<Value>): Promise<Pair<Value>> {
  const [real, ours] = await Promise.all([make(sides!.real), make(sides!.ours)]);
  return { real, ours };
}

afterAll(async () => {
  if (sides) await both((side) => side.stop());
});

/** What two servers cannot have in common becomes a name. */
function neutral(text: string, ports: readonly number[]): string {
  let out = text
    .replace(/^(date): [^\r]*/gim, '$1: now')
    // A set in Python, whose order is another in each process.
    .replace(/^Allow: (.*)\r$/m, (_, methods: string) => `Allow: ${methods.split(', ').sort().join(', ')}\r`)
    .replace(/"client":\["127\.0\.0\.1",\d+\]/, '"client":["127.0.0.1",0]')
    .replace(/"pid":\d+/, '"pid":0');
  ports.forEach((port, index) => {
    out = out.replaceAll(String(port), `PORT${index}`);
  });
  // The lengths of what was replaced.
  return out.includes('"pid":0') ? out.replace(/^(content-length): \d+/im, '$1: LENGTH') : out;
}

/** How a proxy cuts a body into chunks depends on when the pieces came. */
function unchunked(answer: string): string {
  if (!/^transfer-encoding: chunked\r$/im.test(answer)) return answer;
  const end = answer.indexOf('\r\n\r\n') + 4;
  return answer.slice(0, end) + answer.slice(end).replace(/(?:^|\r\n)[0-9a-f]+\r\n/g, '');
}

const SERVERS: [string, 'flask' | 'fastapi', (side: Side) => Promise<Running>][] = [
  ['Gunicorn, sync, Flask', 'flask', (side) => side.gunicorn('flask')],
  ['Gunicorn, gthread, Flask', 'flask', (side) => side.gunicorn('flask', '-k', 'gthread')],
  ['Gunicorn, asgi, FastAPI', 'fastapi', (side) => side.gunicorn('fastapi', '-k', 'asgi')],
  ['Uvicorn, FastAPI', 'fastapi', (side) => side.uvicorn('fastapi', '--workers', '1')],
];

describe.skipIf(!sides).each(SERVERS)('%s', (_, app, start) => {
  let servers: Pair<Running>;
  let proxy: RunningProxy;
  beforeAll(async () => {
    servers = await both(start);
    proxy = await startProxy(`http {
      access_log off;
      server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass ${servers.real.url}; } }
      server { listen 127.0.0.1:%%PORT_1%%; location / { proxy_pass ${servers.ours.url}; } }
    }`);
  });
  afterAll(async () => {
    await proxy.stop();
    await Promise.all([servers.real.server.stop(), servers.ours.server.stop()]);
  });

  const asks = ASKS.filter(({ only, line }) => (only ?? app) === app && !line.includes('/crash'));
  it.each(asks.map((ask) => [`${ask.line} ${ask.body?.slice(0, 40) ?? ''}`, ask] as const))('%s', async (_, ask) => {
    const bytes = bytesOf(ask);
    const direct = await both(async ({ name }) =>
      neutral(await rawRequest(servers[name].port, bytes), [servers[name].port]),
    );
    expect(direct.ours).toBe(direct.real);
    const proxied = await both(async ({ name }) => {
      const port = proxy.ports[name === 'real' ? 0 : 1] ?? 0;
      return unchunked(neutral(await rawRequest(port, bytes), [port, servers[name].port]));
    });
    expect(proxied.ours).toBe(proxied.real);
  });
});

describe.skipIf(!sides).each([
  ['Gunicorn', (side: Side) => side.gunicorn('dump-wsgi', '--threads', '2')],
  ['Uvicorn', (side: Side) => side.uvicorn('dump-asgi', '--http', 'httptools')],
] as const)('what %s takes from the wire', (server, start) => {
  let servers: Pair<Running>;
  beforeAll(async () => {
    servers = await both(start);
  });
  afterAll(() => Promise.all([servers.real.server.stop(), servers.ours.server.stop()]));

  it.each(CORPUS.map((each) => [each.name, each] as const))('%s', async (_, { bytes, isOpen, differs }) => {
    const answers = await both((side) => {
      const { port } = servers[side.name];
      return rawRequest(port, bytes, undefined, !isOpen).then((text) => neutral(text, [port]));
    });
    const reason = differs?.[server];
    if (reason) expect(answers.ours, reason).not.toBe(answers.real);
    else expect(answers.ours).toBe(answers.real);
  });
});

describe.skipIf(!sides)('what happens when', { timeout: 120_000 }, () => {
  it.concurrent.each(
    [...GUNICORN_SCENARIOS, ...UVICORN_SCENARIOS, HANDSHAKE_SCENARIO, STATSD_SCENARIO, ...TLS_SCENARIOS].map(
      (each) => [each.name, each] as const,
    ),
  )('%s', async (_, scenario) => {
    const seen = await both((side) => scenario.run(side));
    expect(seen.ours).toEqual(seen.real);
  });
});

describe.skipIf(!sides).each(['gunicorn', 'uvicorn'] as const)('%s --help', (program) => {
  it('names every option of the original', async () => {
    const { real, ours } = await both(async (side) => {
      const server = side.spawn(program, 'flask', ['--help'], { COLUMNS: '200' });
      await server.exited;
      return new Set(server.log.match(/(?<=^\s*(?:-\w.*, )?)--[a-z][\w-]*/gm));
    });
    expect(real.size).toBeGreaterThan(30);
    expect([...real].filter((option) => !ours.has(option))).toEqual([]);
  });
});
