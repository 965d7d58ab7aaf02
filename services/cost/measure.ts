/**
 * Measures the figures of a cost profile on a real stack: every server is started once, and they are asked in turn, round after round, so
 * that a slow minute of the machine falls on all of them. A framework's figure is the difference to the same server without it.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { idleMeter } from './idle-cores.ts';
import { FIGURES, type Figure, type FigureName } from './profile.ts';
import { RealServer, type RealServerPlan } from './real-server.ts';
import { SWITCH_PROGRAM } from './twins.ts';

const run = promisify(execFile);

/** How much to measure. */
export interface MeasurePlan {
  readonly python: string;
  /** Where the twins have been written. */
  readonly directory: string;
  readonly rounds: number;
  readonly requests: number;
  readonly progress: (line: string) => void;
}

/** Requests that are under way at a time. */
export const CLIENTS = 8;
const WARM_UP_REQUESTS = 300;

const gunicorn = (app: string, ...args: string[]): RealServerPlan => ({
  args: ['-m', 'gunicorn', '-b', '127.0.0.1:0', '--no-control-socket', ...args, app],
  isKeptAlive: false,
});
const uvicorn = (app: string): RealServerPlan => ({
  args: ['-m', 'uvicorn', '--port', '0', '--no-access-log', app],
  isKeptAlive: true,
});

const SERVERS = {
  sync: gunicorn('bare_wsgi:app'),
  flaskSync: gunicorn('with_flask:app'),
  flaskGthread: gunicorn('with_flask:app', '-k', 'gthread', '--threads', '4'),
  flaskOneCore: gunicorn('with_flask:app', '-k', 'gthread', '--threads', '4', '-c', 'one_core.py'),
  uvicorn: uvicorn('bare_asgi:app'),
  fastapi: uvicorn('with_fastapi:app'),
} as const;

type ServerName = keyof typeof SERVERS;

/** What was measured: the figures, and how many cores were idle beside gthread.request; undefined where the system does not tell. */
export interface Measured {
  readonly figures: Record<FigureName, Figure>;
  readonly idleCores: number | undefined;
}

/** Measures everything. Rejects when a server does not start or answers wrongly; nothing is left running. */
export async function measureFigures(plan: MeasurePlan): Promise<Measured> {
  const samples: Record<FigureName, number[]> = Object.fromEntries(
    Object.keys(FIGURES).map((name) => [name, [] as number[]]),
  ) as Record<FigureName, number[]>;
  const idleSamples: number[] = [];
  const servers = new Map<ServerName, RealServer>();
  try {
    for (const name of Object.keys(SERVERS) as ServerName[]) {
      plan.progress(`starting python ${SERVERS[name].args.join(' ')}`);
      servers.set(name, await RealServer.start(plan.python, plan.directory, SERVERS[name]));
    }
    for (const server of servers.values()) await server.requestUs('/', WARM_UP_REQUESTS, CLIENTS);
    await servers.get('fastapi')?.requestUs('/def', WARM_UP_REQUESTS, CLIENTS);
    for (let round = 1; round <= plan.rounds; round++) {
      plan.progress(`round ${round} of ${plan.rounds}`);
      const ask = (name: ServerName, path = '/'): Promise<number> =>
        (servers.get(name) as RealServer).requestUs(path, plan.requests, CLIENTS);
      const sync = await ask('sync');
      const flask = (await ask('flaskSync')) - sync;
      const idle = idleMeter();
      const gthread = (await ask('flaskGthread')) - flask;
      const idleCores = idle();
      if (idleCores !== undefined) idleSamples.push(idleCores);
      const oneCore = (await ask('flaskOneCore')) - flask;
      const bareAsgi = await ask('uvicorn');
      const asyncDef = (await ask('fastapi')) - bareAsgi;
      const def = (await ask('fastapi', '/def')) - bareAsgi;
      samples['sync.request'].push(sync);
      samples['flask.request'].push(flask);
      samples['gthread.request'].push(gthread);
      samples['gthread.busy'].push(oneCore);
      samples['uvicorn.request'].push(bareAsgi);
      samples['fastapi.async'].push(asyncDef);
      samples['fastapi.def'].push(def);
      const { stdout } = await run(plan.python, ['-c', SWITCH_PROGRAM]);
      samples['gil.switch'].push(Number(stdout));
    }
  } finally {
    await Promise.all([...servers.values()].map((server) => server.stop()));
  }
  for (let round = 1; round <= plan.rounds; round++) {
    plan.progress(`boot ${round} of ${plan.rounds}`);
    samples['flask.boot'].push(await bootUs(plan, SERVERS.flaskSync));
    samples['fastapi.boot'].push(await bootUs(plan, SERVERS.fastapi));
  }
  const named = Object.entries(samples).map(([name, values]) => [name, figureOf(values)]);
  return {
    figures: Object.fromEntries(named) as Record<FigureName, Figure>,
    idleCores: figureOf(idleSamples).us || undefined,
  };
}

async function bootUs(plan: MeasurePlan, server: RealServerPlan): Promise<number> {
  const started = await RealServer.start(plan.python, plan.directory, server);
  try {
    return await started.processTimeUs();
  } finally {
    await started.stop();
  }
}

/** The median of samples with the lowest and the highest. A difference below zero is noise, and nothing costs less than nothing. */
export function figureOf(samples: readonly number[]): Figure {
  const sorted = samples.map((us) => Math.max(0, us)).sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  const median =
    sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
  const rounded = (us: number): number => Math.round(us * 10) / 10;
  return { us: rounded(median), low: rounded(sorted[0] ?? 0), high: rounded(sorted.at(-1) ?? 0) };
}
