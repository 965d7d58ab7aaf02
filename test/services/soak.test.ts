// Clients that never pause, through the proxy, while the arbiter is told to reload and to change its number of workers, or while
// workers are killed: no request may fail. A few seconds of what is otherwise run for longer by hand.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { afterEach, expect, it } from 'vitest';
import { type RunningProxy, startProxy } from '../proxy/start-proxy.ts';
import { gunicorn, isAlive, type Running } from './server-process.ts';

const FLASK = 'services/apps/flask.ts:app';
const FASTAPI = 'services/apps/fastapi.ts:app';
const CLIENTS = 6;

const CLASSES: [string, string[]][] = [
  ['sync', ['-w', '2', FLASK]],
  ['gthread', ['-w', '2', '--threads', '2', FLASK]],
  ['uvicorn', ['-w', '2', '-k', 'uvicorn.workers.UvicornWorker', FASTAPI]],
];

const running: { arbiters: Running[]; proxy: RunningProxy | null } = { arbiters: [], proxy: null };
afterEach(async () => {
  await running.proxy?.stop();
  await Promise.all(running.arbiters.map((each) => each.server.stop()));
});

/** Arbiters behind a proxy that keeps connections to them; gives a client's URL. */
async function serve(count: number, args: readonly string[]): Promise<string> {
  running.arbiters = await Promise.all(Array.from({ length: count }, () => gunicorn(args)));
  const peers = running.arbiters.map(({ port }) => `server 127.0.0.1:${port} max_fails=0;`).join(' ');
  running.proxy = await startProxy(`http {
    access_log off;
    upstream apps { ${peers} keepalive 8; }
    server {
      listen 127.0.0.1:%%PORT_0%%;
      location / { proxy_pass http://apps; proxy_http_version 1.1; proxy_set_header Connection ""; }
    }
  }`);
  return running.proxy.url;
}

/** Clients that ask until they are told to stop. */
interface Load {
  /** Waits for so many more answers. */
  served(count: number): Promise<void>;
  /** Counts of answers by status, or by the error that came instead. */
  stop(): Promise<Record<string, number>>;
}

function startLoad(url: string, methods: readonly string[]): Load {
  const agent = new http.Agent({ keepAlive: true, maxSockets: CLIENTS });
  const counts: Record<string, number> = {};
  let isOver = false;
  let total = 0;
  let wanted: { total: number; done: () => void } | null = null;
  const ask = (method: string): Promise<string> =>
    new Promise((done) => {
      const request = http.request(`${url}${method === 'POST' ? '/echo' : '/'}`, { agent, method }, (response) => {
        response.resume();
        response.on('end', () => done(String(response.statusCode)));
        response.on('error', (error) => done(error.message));
      });
      request.on('error', (error) => done(error.message));
      request.end(method === 'POST' ? 'hello' : undefined);
    });
  const client = async (number: number): Promise<void> => {
    for (let turn = number; !isOver; turn++) {
      const outcome = await ask(methods[turn % methods.length] ?? 'GET');
      counts[outcome] = (counts[outcome] ?? 0) + 1;
      if (++total === wanted?.total) wanted.done();
    }
  };
  const clients = Array.from({ length: CLIENTS }, (_, number) => client(number));
  return {
    served: (count) =>
      new Promise((done) => {
        wanted = { total: total + count, done };
      }),
    stop: async () => {
      isOver = true;
      await Promise.all(clients);
      agent.destroy();
      return counts;
    },
  };
}

/** Processes of an arbiter; zombies too. */
function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
}

async function settledAt(arbiter: Running, workers: number): Promise<void> {
  await arbiter.server.until(() => childrenOf(arbiter.server.pid).length === workers, `${workers} workers`);
  expect(childrenOf(arbiter.server.pid).every(isAlive)).toBe(true);
}

it.each(CLASSES)('%s: loses no GET and no POST under HUP, TTIN and TTOU', async (_, args) => {
  const url = await serve(1, args);
  const [arbiter] = running.arbiters as [Running];
  const { server } = arbiter;
  const load = startLoad(url, ['GET', 'POST']);
  await load.served(30);
  server.kill('SIGTTIN');
  await settledAt(arbiter, 3);
  await load.served(30);
  server.kill('SIGTTOU');
  await settledAt(arbiter, 2);
  await load.served(30);
  const before = childrenOf(server.pid);
  server.kill('SIGHUP');
  await server.until(() => !before.some(isAlive), 'the end of the old workers');
  await load.served(30);
  const { 200: served, ...others } = await load.stop();
  expect(others).toEqual({});
  expect(served).toBeGreaterThan(120);
  await settledAt(arbiter, 2);
});

it.each(CLASSES)('%s: loses no GET while workers of two arbiters are killed', async (_, args) => {
  const url = await serve(2, args);
  const load = startLoad(url, ['GET']);
  for (let round = 0; round < 4; round++) {
    const arbiter = running.arbiters[round % 2] as Running;
    await settledAt(arbiter, 2);
    await load.served(30);
    const victim = childrenOf(arbiter.server.pid)[round >> 1] ?? 0;
    process.kill(victim, 'SIGKILL');
    await arbiter.server.said(new RegExp(`pid:${victim}\\) was sent SIGKILL!`));
  }
  await load.served(30);
  const { 200: served, ...others } = await load.stop();
  expect(others).toEqual({});
  expect(served).toBeGreaterThan(120);
  for (const arbiter of running.arbiters) await settledAt(arbiter, 2);
});
