// Clients that never pause, through the proxy, while the app server is told to reload and to change its number of workers, or while
// workers are killed: no request may fail but those that were in the hands of a killed worker. For every worker class and for
// Uvicorn's supervisor; a few seconds each, half a minute with PORTICO_TEST_FULL=1. The counts are printed.
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../proxy/start-proxy.ts';
import { type AppServer, CLIENTS, KINDS, type Kind, killCounting, settledAt, startLoad } from './soak-load.ts';

const isFull = process.env['PORTICO_TEST_FULL'] === '1';
const SECONDS = isFull ? 30 : 4;
const KILLS = isFull ? 10 : 3;
const LIMIT_MS = isFull ? 240_000 : 90_000;
const KILL_EVERY_MS = isFull ? 3000 : 500;

const running: { servers: AppServer[]; proxy: RunningProxy | null } = { servers: [], proxy: null };
afterEach(async () => {
  await running.proxy?.stop();
  await Promise.all(running.servers.map((each) => each.server.stop()));
});

/** App servers with all their workers, behind a proxy that keeps connections to them or does not; gives a client's URL. */
async function serve(kind: Kind, count: number, isKept: boolean): Promise<string> {
  running.servers = await Promise.all(Array.from({ length: count }, () => kind.start()));
  for (const each of running.servers) await settledAt(each, each.workers);
  const peers = running.servers.map(({ port }) => `server 127.0.0.1:${port} max_fails=0;`).join(' ');
  const keeping = 'proxy_http_version 1.1; proxy_set_header Connection "";';
  running.proxy = await startProxy(`http {
    access_log off;
    upstream apps { ${peers} ${isKept ? 'keepalive 8;' : ''} }
    server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://apps; ${isKept ? keeping : ''} } }
  }`);
  return running.proxy.url;
}

function tell(name: string, counts: object): void {
  console.log(`soak: ${name}: ${JSON.stringify(counts)}`);
}

/** Sends a signal and waits until the server has noticed: what is pending at once comes in the order of the signals' numbers. */
async function signal({ server }: AppServer, name: 'SIGHUP' | 'SIGTTIN' | 'SIGTTOU'): Promise<void> {
  const from = server.log.length;
  server.kill(name);
  await server.said(new RegExp(`(?:Handling signal: ${name.slice(3)}|Received ${name})`, 'i'), from);
}

const anyOf = (pids: readonly number[]): number => pids[Math.floor(Math.random() * pids.length)]!;

it.each(KINDS)('$name: loses no GET and no POST under HUP, TTIN and TTOU', { timeout: LIMIT_MS }, async (kind) => {
  const url = await serve(kind, 1, true);
  const [app] = running.servers as [AppServer];
  const load = startLoad(url, ['GET /', 'POST /echo']);
  const before = app.workerPids() ?? [];
  await load.served(30);
  for (let second = 0; second < SECONDS; second += 2) {
    await Promise.all([signal(app, 'SIGTTIN'), delay(1000)]);
    await Promise.all([signal(app, 'SIGTTOU'), delay(500)]);
    await Promise.all([signal(app, 'SIGHUP'), delay(500)]);
  }
  await app.server.until(() => !app.workerPids()?.some((pid) => before.includes(pid)), 'the end of the first workers');
  await settledAt(app, app.workers);
  await load.served(30);
  const { 200: served, ...others } = await load.stop();
  tell(`${kind.name}, HUP, TTIN and TTOU`, { hups: SECONDS >> 1, changes: SECONDS, served, ...others });
  expect(others).toEqual({});
  expect(served).toBeGreaterThan(60);
});

it.each(KINDS)('$name: loses no GET while workers of two are killed', { timeout: LIMIT_MS }, async (kind) => {
  const url = await serve(kind, 2, true);
  const load = startLoad(url, ['GET /', 'GET /io?ms=5']);
  for (let kill = 0; kill < KILLS; kill++) {
    const app = running.servers[kill % 2]!;
    const pids = await settledAt(app, app.workers);
    await load.served(30);
    process.kill(anyOf(pids), 'SIGKILL');
    await delay(KILL_EVERY_MS);
  }
  for (const each of running.servers) await settledAt(each, each.workers);
  await load.served(30);
  const { 200: served, ...others } = await load.stop();
  tell(`${kind.name}, kill -9, two app servers`, { kills: KILLS, served, ...others });
  expect(others).toEqual({});
  expect(served).toBeGreaterThan(60);
});

it.each(KINDS)('$name: loses exactly what a killed worker had in its hands', { timeout: LIMIT_MS }, async (kind) => {
  const url = await serve(kind, 1, false);
  const [app] = running.servers as [AppServer];
  const load = startLoad(url, ['GET /io?ms=20', 'POST /echo']);
  const hands: number[] = [];
  const lost: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const pids = await settledAt(app, app.workers);
    await load.served(30);
    const before = load.counts[502] ?? 0;
    hands.push(await killCounting(anyOf(pids), app.port));
    await load.turnedOver();
    lost.push((load.counts[502] ?? 0) - before);
    await delay(KILL_EVERY_MS);
  }
  await settledAt(app, app.workers);
  await load.served(30);
  const { 200: served, ...others } = await load.stop();
  tell(`${kind.name}, kill -9, one app server`, { kills: KILLS, clients: CLIENTS, hands, lost, served, ...others });
  expect(lost).toEqual(hands);
  const total = hands.reduce((sum, count) => sum + count);
  expect(others).toEqual(total > 0 ? { 502: total } : {});
  expect(served).toBeGreaterThan(60);
});
