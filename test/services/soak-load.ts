// What the soak needs: clients that never pause, app servers of either kind under one face, and what /proc tells of a worker's hands.
// PORTICO_TEST_VENV=/path/to/venv puts the original Gunicorn and Uvicorn in the place of ours (and PORTICO_TEST_NGINX the original
// proxy), to see by hand what they lose.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { Side } from '../real/app-servers/peers.ts';
import { isAlive, type Running } from './server-process.ts';

export const CLIENTS = 6;
const VENV = process.env['PORTICO_TEST_VENV'];
const STUCK_MS = 50_000;

/** An app server that has `workers` processes, which signals change and a kill does not. */
export interface AppServer extends Running {
  readonly workers: number;
  /** Its workers that live; null while one of its processes is a zombie or not a worker yet. */
  workerPids(): number[] | null;
}

/** A class of Gunicorn's workers, or Uvicorn's own supervisor. */
export interface Kind {
  readonly name: string;
  start(): Promise<AppServer>;
}

const WORKERS = 2;
/** Longer than the proxy keeps an idle connection: who closes one in which a request is on its way has lost it. */
const KEPT_SECONDS = '75';

const side = (): Side => new Side(VENV ? path.join(VENV, 'bin') : null);

const gunicorn = (name: string, app: 'flask' | 'fastapi', ...args: readonly string[]): Kind => ({
  name: `gunicorn ${name}`,
  start: async () => {
    const running = await side().gunicorn(app, '-w', String(WORKERS), '--keep-alive', KEPT_SECONDS, ...args);
    const workerPids = (): number[] | null => withoutZombies(childrenOf(running.server.pid));
    return { ...running, workers: WORKERS, workerPids };
  },
});

/** Every class that there is; `asgi` is another program only in the original. */
export const KINDS: readonly Kind[] = [
  gunicorn('sync', 'flask'),
  gunicorn('gthread', 'flask', '--threads', '2'),
  ...(VENV ? [gunicorn('asgi', 'fastapi', '-k', 'asgi')] : []),
  gunicorn('uvicorn', 'fastapi', '-k', 'uvicorn.workers.UvicornWorker'),
  {
    name: 'uvicorn --workers',
    start: async () => {
      // A worker that is frozen to be looked at must not be taken for one that hangs.
      const flags = ['--no-access-log', '--timeout-worker-healthcheck', '60', '--timeout-keep-alive', KEPT_SECONDS];
      const running = await side().uvicorn('fastapi', '--workers', String(WORKERS), ...flags);
      const { server } = running;
      // Python's multiprocessing has a process of its own beside the workers.
      const workerPids = (): number[] | null =>
        withoutZombies(childrenOf(server.pid))?.filter((pid) =>
          server.log.includes(`Started server process [${pid}]`),
        ) ?? null;
      return { ...running, workers: WORKERS, workerPids };
    },
  },
];

/** None when it is gone: who waits then says so. */
function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

const withoutZombies = (pids: number[]): number[] | null => (pids.every(isAlive) ? pids : null);

/** Waits until a server has so many workers and no zombie. */
export async function settledAt({ server, workerPids }: AppServer, workers: number): Promise<number[]> {
  return await server.until(() => {
    const pids = workerPids();
    return pids?.length === workers && pids;
  }, `${workers} workers and no zombie`);
}

/** Clients that ask until they are told to stop. */
export interface Load {
  /** Counts of answers by status, or by the error that came instead. */
  readonly counts: Readonly<Record<string, number>>;
  /** Waits for so many more answers. */
  served(count: number): Promise<void>;
  /** Waits until every request that is under way now is over. */
  turnedOver(): Promise<void>;
  stop(): Promise<Readonly<Record<string, number>>>;
}

/** Clients that keep their connections; `requests` are asked in turn. */
export function startLoad(url: string, requests: readonly `${'GET' | 'POST'} ${string}`[]): Load {
  const agent = new http.Agent({ keepAlive: true, maxSockets: CLIENTS });
  const counts: Record<string, number> = {};
  const underWay = new Set<Promise<string>>();
  let isOver = false;
  let total = 0;
  let wanted: { total: number; done: () => void } | null = null;
  const ask = (line: string): Promise<string> =>
    new Promise((done) => {
      const [method, target] = line.split(' ');
      const request = http.request(`${url}${target}`, { agent, method, timeout: STUCK_MS }, (response) => {
        response.resume();
        response.on('end', () => done(String(response.statusCode)));
        response.on('error', (error) => done(error.message));
      });
      request.on('timeout', () => done('no answer'));
      request.on('error', (error) => done(error.message));
      request.end(method === 'POST' ? 'hello' : undefined);
    });
  const client = async (number: number): Promise<void> => {
    for (let turn = number; !isOver; turn++) {
      const asked = ask(requests[turn % requests.length]!);
      underWay.add(asked);
      const outcome = await asked;
      underWay.delete(asked);
      counts[outcome] = (counts[outcome] ?? 0) + 1;
      if (++total === wanted?.total) wanted.done();
    }
  };
  const clients = Array.from({ length: CLIENTS }, (_, number) => client(number));
  return {
    counts,
    served: (count) =>
      new Promise((done) => {
        wanted = { total: total + count, done };
      }),
    turnedOver: async () => {
      await Promise.all(underWay);
    },
    stop: async () => {
      isOver = true;
      await Promise.all(clients);
      agent.destroy();
      return counts;
    },
  };
}

/**
 * Kills a worker and gives how many requests were in its hands: connections that it had accepted and not answered. It is frozen
 * for the count; the proxy closes what was answered before that, since it keeps no connection in this test.
 */
export async function killCounting(pid: number, port: number): Promise<number> {
  process.kill(pid, 'SIGSTOP');
  let [hands, same] = [Number.NaN, 0];
  while (same < 4) {
    await new Promise((done) => setTimeout(done, 25));
    const now = openConnections(pid, port);
    same = now === hands && /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8')) ? same + 1 : 0;
    hands = now;
  }
  process.kill(pid, 'SIGKILL');
  return hands;
}

/** Established connections to `port` that a process holds. */
function openConnections(pid: number, port: number): number {
  const local = port.toString(16).toUpperCase().padStart(4, '0');
  // Tens of thousands of lines, after a load of connections that are used once.
  const established = new RegExp(`^ *\\d+: \\w+:${local} \\S+ 01 \\S+ \\S+ \\S+ +\\d+ +\\d+ (\\d+) `, 'gm');
  const inodes = new Set([...readFileSync('/proc/net/tcp', 'latin1').matchAll(established)].map(([, inode]) => inode));
  const held = readdirSync(`/proc/${pid}/fd`).map((name) => /socket:\[(\d+)\]/.exec(linkOf(pid, name))?.[1]);
  return held.filter((inode) => inode !== undefined && inodes.has(inode)).length;
}

function linkOf(pid: number, name: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${name}`);
  } catch {
    return '';
  }
}
