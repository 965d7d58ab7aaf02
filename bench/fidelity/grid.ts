// The grid of `npm run fidelity`: ways to run an app server, work for it, and numbers of clients. Both stacks get the same
// flags and the same paths, for their applications are twins (services/apps, test/real/python).

/** A way to run an app server. */
export interface Topology {
  readonly name: string;
  readonly program: 'gunicorn' | 'uvicorn';
  readonly flags: readonly string[];
  /** Gunicorn is asked as nginx asks it by default, a connection for each request; Uvicorn on connections that are kept. */
  readonly isKeepalive: boolean;
  /** Where the paths of the work begin: `def` endpoints are under a path of their own. */
  readonly prefix: string;
}

const gunicorn = (name: string, ...flags: string[]): Topology => ({
  name,
  program: 'gunicorn',
  flags,
  isKeepalive: false,
  prefix: '',
});
const uvicorn = (name: string, workers: number, prefix: string): Topology => ({
  name,
  program: 'uvicorn',
  flags: ['--workers', String(workers), '--no-access-log'],
  isKeepalive: true,
  prefix,
});

export const TOPOLOGIES: readonly Topology[] = [
  gunicorn('sync x1', '-k', 'sync', '-w', '1'),
  gunicorn('sync x2', '-k', 'sync', '-w', '2'),
  gunicorn('sync x4', '-k', 'sync', '-w', '4'),
  gunicorn('gthread 1x4', '-k', 'gthread', '-w', '1', '--threads', '4'),
  gunicorn('gthread 1x8', '-k', 'gthread', '-w', '1', '--threads', '8'),
  gunicorn('gthread 2x4', '-k', 'gthread', '-w', '2', '--threads', '4'),
  uvicorn('uvicorn x1 async', 1, ''),
  uvicorn('uvicorn x2 async', 2, ''),
  uvicorn('uvicorn x1 def', 1, '/sync'),
  uvicorn('uvicorn x2 def', 2, '/sync'),
];

/** What is asked for: a path, and how often among the others. */
export interface Work {
  readonly name: string;
  readonly paths: ReadonlyArray<readonly [path: string, weight: number]>;
}

export const WORKS: readonly Work[] = [
  { name: 'hello', paths: [['/', 1]] },
  { name: 'io50', paths: [['/io?ms=50', 1]] },
  { name: 'cpu10', paths: [['/cpu?ms=10', 1]] },
  { name: 'native10', paths: [['/native?ms=10', 1]] },
  {
    name: 'mixed',
    paths: [
      ['/', 2],
      ['/io?ms=50', 1],
      ['/cpu?ms=10', 1],
      ['/native?ms=10', 1],
    ],
  },
];

export const CONNECTIONS: readonly number[] = [1, 4, 16, 64];

/** The path of a piece of work in a topology. */
export function pathIn(topology: Topology, path: string): string {
  return topology.prefix !== '' && path === '/' ? `${topology.prefix}/hello` : `${topology.prefix}${path}`;
}

/** One cell of the grid. */
export interface Cell {
  readonly topology: string;
  readonly work: string;
  readonly connections: number;
}

/** A cell as a text that identifies it. */
export function keyOf({ topology, work, connections }: Cell): string {
  return `${topology} | ${work} | ${connections}`;
}
