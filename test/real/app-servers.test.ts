// Sends the same requests to the real Gunicorn and Uvicorn with Python twins of the demo applications, and to ours, and compares status
// line, header names, order and values, and bodies; directly and through our proxy. Then the bytes that a parser meets, and what happens
// when servers are signaled, starved and broken. Skipped where the originals are not to be had; see app-servers/peers.ts.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../proxy/start-proxy.ts';
import { type Running, rawRequest } from '../services/server-process.ts';
import { CORPUS } from './app-servers/corpus.ts';
import { ASKS, bytesOf } from './app-servers/endpoints.ts';
import { findPeers, type Side } from './app-servers/peers.ts';
import { SCENARIOS } from './app-servers/scenarios.ts';

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
function neutral(text: string, port: number): string {
  return text
    .replace(/^(date): [^\r]*/gim, '$1: now')
    .replaceAll(String(port), 'PORT')
    .replace(/"client":\["127\.0\.0\.1",\d+\]/, '"client":["127.0.0.1",0]')
    .replace(/"pid":\d+/, '"pid":0');
}

async function compare(pair: Pair<number>, bytes: string): Promise<void> {
  const [real, ours] = await Promise.all([rawRequest(pair.real, bytes), rawRequest(pair.ours, bytes)]);
  expect(neutral(ours, pair.ours)).toBe(neutral(real, pair.real));
}

const SERVERS: [string, 'flask' | 'fastapi', (side: Side) => Promise<Running>][] = [
  ['Gunicorn, sync, Flask', 'flask', (side) => side.gunicorn('flask')],
  ['Gunicorn, gthread, Flask', 'flask', (side) => side.gunicorn('flask', '--threads', '1')],
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
    const direct = { real: servers.real.port, ours: servers.ours.port };
    await compare(direct, bytesOf(ask));
    const [real, ours] = proxy.ports as [number, number];
    await compare({ real, ours }, bytesOf(ask));
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

  it.each(CORPUS.map((each) => [each.name, each] as const))('%s', async (_, { bytes, differs }) => {
    const answers = await both((side) => {
      const { port } = servers[side.name];
      return rawRequest(port, bytes, undefined, true).then((text) => neutral(text, port));
    });
    const reason = differs?.[server];
    if (reason) expect(answers.ours, reason).not.toBe(answers.real);
    else expect(answers.ours).toBe(answers.real);
  });
});

describe.skipIf(!sides)('what happens when', () => {
  it.concurrent.each(SCENARIOS.map((each) => [each.name, each] as const))('%s', async (_, scenario) => {
    const seen = await both((side) => scenario.run(side));
    expect(seen.ours).toEqual(seen.real);
    if (scenario.expected !== undefined) expect(seen.real).toEqual(scenario.expected);
  });
});
