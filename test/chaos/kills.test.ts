// kill -9, of each kind of process: a worker of the proxy, its master, a worker of the app server, its arbiter. What is
// lost is counted: the requests that were under way in the killed process, and none that came later.
import { describe, expect, it } from 'vitest';
import { freePort, raw, statusOf } from '../proxy/start-proxy.ts';
import { isAlive, ServerProcess } from '../services/server-process.ts';
import { atEnd, children, MASTER, size, start, statusFor, tell, until, workerOf } from './fire.ts';

const CLIENTS = 8;
const KILLS = size(20, 3);

interface Tally {
  readonly statuses: Record<number, number>;
  asked: number;
}

/** Clients that ask one request after another, each on a connection of its own, until told to stop. */
function load(port: number, uri: string): { tally: Tally; stop(): Promise<Tally> } {
  const tally: Tally = { statuses: {}, asked: 0 };
  let isOver = false;
  const client = async (): Promise<void> => {
    while (!isOver) {
      tally.asked++;
      const status = await statusFor(port, uri);
      tally.statuses[status] = (tally.statuses[status] ?? 0) + 1;
    }
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, client));
  return {
    tally,
    async stop() {
      isOver = true;
      await clients;
      return tally;
    },
  };
}

const lost = ({ statuses }: Tally): number =>
  Object.entries(statuses).reduce((sum, [status, count]) => (status === '200' ? sum : sum + count), 0);

describe('kill -9', () => {
  it('of a worker of the proxy loses the requests under way in it', async () => {
    const proxy = await start('http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; return 200 ok; } }', {
      preamble: MASTER.replace('worker_processes 1', 'worker_processes 2'),
    });
    const workers = (): number[] => children(proxy.process.pid!);
    await until(() => workers().length === 2);
    expect(await statusFor(proxy.port, '/')).toBe(200);
    const clients = load(proxy.port, '/');
    for (let kill = 0; kill < KILLS; kill++) {
      const before = clients.tally.asked;
      await until(() => clients.tally.asked > before + 50);
      const [victim] = workers();
      process.kill(victim!, 'SIGKILL');
      await until(() => !workers().includes(victim!) && workers().length === 2);
    }
    const tally = await clients.stop();
    tell('kill -9 of a proxy worker', { kills: KILLS, clients: CLIENTS, ...tally });
    expect(lost(tally)).toBeLessThanOrEqual(KILLS * CLIENTS);
    expect(proxy.read('error.log').match(/worker process \d+ exited on signal 9/g)).toHaveLength(KILLS);
    // All that were lost were cut, none was answered wrongly.
    expect(Object.keys(tally.statuses).filter((s) => s !== '200' && s !== '0')).toEqual([]);
  }, 90_000);

  it('of the master of the proxy loses nothing, and what comes later is served by its workers', async () => {
    const proxy = await start(
      'http { access_log off; server { listen 127.0.0.1:%%PORT_0%%; location / { root .; limit_rate 40000; } } }',
      { files: { 'f.bin': 'x'.repeat(60_000) } },
    );
    const worker = await workerOf(proxy);
    atEnd(() => isAlive(worker) && process.kill(worker, 'SIGKILL'));
    const answers = Array.from({ length: CLIENTS }, () => raw(proxy.port, 'GET /f.bin HTTP/1.0\r\n\r\n'));
    const first = raw(proxy.port, 'GET /none HTTP/1.0\r\n\r\n');
    expect(statusOf(await first)).toBe(404);
    proxy.signal('SIGKILL');
    await proxy.exited;
    const bodies = (await Promise.all(answers)).map((answer) => answer.length > 60_000);
    expect(bodies).toEqual(Array(CLIENTS).fill(true));
    const later = await statusFor(proxy.port, '/none');
    tell('kill -9 of the proxy master', { underWay: CLIENTS, complete: bodies.filter(Boolean).length, later });
    expect(later).toBe(404);
    process.kill(worker, 'SIGQUIT');
    await until(() => !isAlive(worker));
  });

  it('of a worker of Gunicorn loses the requests under way in it, behind the proxy', async () => {
    const port = await freePort();
    const server = await gunicorn(port, 2);
    const proxy = await start(
      `http { access_log off; upstream u { server 127.0.0.1:${port} max_fails=0; } server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://u; } } }`,
    );
    expect(await statusFor(proxy.port, '/')).toBe(200);
    const clients = load(proxy.port, '/io?ms=5');
    for (let kill = 0; kill < KILLS; kill++) {
      const before = clients.tally.asked;
      await until(() => clients.tally.asked > before + 30);
      const victim = server.workers[0]!;
      process.kill(victim, 'SIGKILL');
      await server.until(() => !server.workers.includes(victim) && server.workers.length === 2, 'a new worker');
    }
    const tally = await clients.stop();
    tell('kill -9 of an app worker', { kills: KILLS, clients: CLIENTS, ...tally });
    expect(lost(tally)).toBeLessThanOrEqual(KILLS * CLIENTS);
    expect(Object.keys(tally.statuses).filter((s) => s !== '200' && s !== '502')).toEqual([]);
  }, 90_000);

  it('of the arbiter ends its workers; a new one is served at once', async () => {
    const port = await freePort();
    const server = await gunicorn(port, 2);
    const workers = server.workers;
    const proxy = await start(
      `http { access_log off; upstream u { server 127.0.0.1:${port} max_fails=0; } server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://u; } } }`,
    );
    expect(await statusFor(proxy.port, '/')).toBe(200);
    const clients = load(proxy.port, '/');
    await until(() => clients.tally.asked > 30);
    server.kill('SIGKILL');
    await until(() => !workers.some(isAlive));
    await until(() => (clients.tally.statuses[502] ?? 0) > 0);
    const tally = await clients.stop();
    await gunicorn(port, 2);
    expect(await statusFor(proxy.port, '/')).toBe(200);
    tell('kill -9 of the arbiter', { workersLeft: workers.filter(isAlive).length, ...tally });
    expect(Object.keys(tally.statuses).filter((s) => s !== '200' && s !== '502')).toEqual([]);
  }, 60_000);
});

/** Gunicorn's role with the demo app, all of whose workers serve. */
async function gunicorn(port: number, workers: number): Promise<ServerProcess> {
  const args = ['-b', `127.0.0.1:${port}`, '-w', String(workers), 'services/apps/flask.ts:app'];
  const server = new ServerProcess('gunicorn', ['--python-cost', '0', ...args]);
  atEnd(() => server.stop());
  await server.until(() => server.workers.length === workers, 'its workers');
  await until(async () => (await statusFor(port, '/')) === 200);
  return server;
}
