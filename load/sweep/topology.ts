// A topology of the grid: which app servers behind which proxy. The axes are one table: name, what it may be, default, meaning;
// flags, sweep files, keys and the result table come from it.
import type { Rig } from '../rig/rig.ts';

export type Topology = Readonly<Record<Axis, string>>;

interface AxisRow {
  readonly values: RegExp;
  readonly example: string;
  readonly usual: string;
  readonly meaning: string;
}

/** The axes of the grid, in the order of the table's columns. */
export const AXES = {
  class: {
    values: /^(sync|gthread|uvicorn)$/,
    example: 'sync, gthread or uvicorn',
    usual: 'sync',
    meaning: 'worker class',
  },
  workers: { values: /^[1-9]\d{0,2}$/, example: '2', usual: '1', meaning: 'worker processes of an app server' },
  threads: { values: /^[1-9]\d{0,2}$/, example: '4', usual: '1', meaning: 'threads of a gthread worker' },
  gil: { values: /^(on|off)$/, example: 'on or off', usual: 'on', meaning: 'the GIL; off is the free-threaded build' },
  replicas: { values: /^[1-9]\d?$/, example: '2', usual: '1', meaning: 'app servers behind the proxy' },
  balance: {
    values: /^(round_robin|least_conn|ip_hash|random)$/,
    example: 'round_robin, least_conn, ip_hash or random',
    usual: 'round_robin',
    meaning: 'balancing method',
  },
  keepalive: {
    values: /^\d{1,4}$/,
    example: '16',
    usual: '0',
    meaning: 'idle connections that the proxy keeps to the app servers',
  },
  backlog: { values: /^[1-9]\d{0,4}$/, example: '2048', usual: '2048', meaning: 'listen queue of an app server' },
  timeout: { values: /^\d{1,4}$/, example: '30', usual: '30', meaning: 'Gunicorn --timeout, s' },
  buffering: {
    values: /^(on|off)$/,
    example: 'on or off',
    usual: 'on',
    meaning: 'proxy_buffering and proxy_request_buffering',
  },
  through: {
    values: /^(proxy|direct)$/,
    example: 'proxy or direct',
    usual: 'proxy',
    meaning: 'whether the proxy stands in front',
  },
} as const satisfies Record<string, AxisRow>;

export type Axis = keyof typeof AXES;
export const AXIS_NAMES = Object.keys(AXES) as Axis[];

/** Reads the values of an axis: `1,2,4`. Throws RangeError. */
export function axisValues(axis: Axis, text: string): string[] {
  const values = text.split(',').map((value) => value.trim());
  for (const value of values) {
    if (!AXES[axis].values.test(value))
      throw new RangeError(
        /\d/.test(AXES[axis].example)
          ? `"${value}" is no number that it can be; write ${AXES[axis].example}`
          : `"${value}" is not one of its values (${AXES[axis].example})`,
      );
  }
  return [...new Set(values)];
}

/** All topologies of a grid that differ: what a class has not (threads of sync, say) does not make another. */
export function topologies(grid: Readonly<Partial<Record<Axis, readonly string[]>>>): Topology[] {
  let found: Array<Record<string, string>> = [{}];
  for (const axis of AXIS_NAMES) {
    const values = grid[axis] ?? [AXES[axis].usual];
    found = found.flatMap((topology) => values.map((value) => ({ ...topology, [axis]: value })));
  }
  const unique = new Map(
    found.map((topology) => plain(topology as Topology)).map((topology) => [JSON.stringify(topology), topology]),
  );
  return [...unique.values()];
}

function plain(topology: Topology): Topology {
  const isDirect = topology.through === 'direct';
  return {
    ...topology,
    threads: topology.class === 'gthread' ? topology.threads : '1',
    gil: topology.class === 'sync' ? 'on' : topology.gil,
    timeout: topology.class === 'uvicorn' ? AXES.timeout.usual : topology.timeout,
    replicas: isDirect ? '1' : topology.replicas,
    balance: isDirect || topology.replicas === '1' ? AXES.balance.usual : topology.balance,
    keepalive: isDirect ? AXES.keepalive.usual : topology.keepalive,
    buffering: isDirect ? AXES.buffering.usual : topology.buffering,
  };
}

/** What a topology costs, to compare: processes first, then threads. */
export function costOf(topology: Topology): { processes: number; threads: number } {
  const processes = Number(topology.workers) * Number(topology.replicas);
  return { processes, threads: processes * Number(topology.threads) };
}

/** Brings the topology up; gives where to send requests, and the pids of its app servers. */
export async function bringUp(rig: Rig, topology: Topology): Promise<{ url: string; pids: number[] }> {
  const servers = [];
  for (let replica = 0; replica < Number(topology.replicas); replica++) {
    const common = ['--workers', topology.workers, '--backlog', topology.backlog, '--gil', topology.gil];
    servers.push(
      topology.class === 'uvicorn'
        ? await rig.uvicorn(...common, '--timeout-keep-alive', '75')
        : await rig.gunicorn(
            ...common,
            '-k',
            topology.class,
            '--threads',
            topology.threads,
            '--timeout',
            topology.timeout,
            '--keep-alive',
            '75',
          ),
    );
  }
  const pids = servers.map(({ program }) => program.pid);
  if (topology.through === 'direct') return { url: servers[0]!.url, pids };
  const proxy = await rig.proxy({
    peers: servers.map(({ port }) => `127.0.0.1:${port} max_fails=0`),
    upstream: [
      ...(topology.balance === 'round_robin' ? [] : [`${topology.balance};`]),
      ...(topology.keepalive === '0' ? [] : [`keepalive ${topology.keepalive};`]),
    ],
    location: [`proxy_buffering ${topology.buffering};`, `proxy_request_buffering ${topology.buffering};`],
  });
  return { url: proxy.url, pids };
}
