// The three series of `npm run fidelity`: the real stack, the real stack again, and ours, each started by its command line on
// a port of the kernel, and the driver that asks them.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { PROJECT, Program } from '../../load/rig/program.ts';
import { plannedRequest, usualPlan } from '../../load/scenarios/workbench.ts';
import type { Drive } from './driver.ts';
import { pathIn, type Topology, type Work } from './grid.ts';

/** In this order a table shows them; `again` is the control, which shows what the machine's noise is. */
export const SERIES = ['real', 'again', 'ours'] as const;
export type Series = (typeof SERIES)[number];

const PYTHON_APPS = fileURLToPath(new URL('../../test/real/python/', import.meta.url));
const APPS = {
  gunicorn: { python: 'flask_app:app', ours: 'services/apps/flask.ts:app' },
  uvicorn: { python: 'fastapi_app:app', ours: 'services/apps/fastapi.ts:app' },
} as const;
const READY = {
  gunicorn: /Listening at: (http:\/\/127\.0\.0\.1:\d+)/,
  uvicorn: /Uvicorn running on (http:\/\/127\.0\.0\.1:\d+)/,
} as const;

export interface Server {
  readonly program: Program;
  readonly url: string;
}

/** Starts one server; resolves when it answers. Rejects with ProgramError. */
export async function startServer(series: Series, topology: Topology, python: string): Promise<Server> {
  const { program: name, flags } = topology;
  const isOurs = series === 'ours';
  const bind = name === 'gunicorn' ? ['-b', '127.0.0.1:0'] : ['--host', '127.0.0.1', '--port', '0'];
  // The control socket is a second interface of Gunicorn 25 and later, beside what is compared here.
  const control = name === 'gunicorn' && !isOurs ? ['--no-control-socket'] : [];
  const command = isOurs ? [process.execPath, `services/${name}.ts`] : [python, '-m', name];
  const app = APPS[name][isOurs ? 'ours' : 'python'];
  const program = new Program(
    `${series} ${name}`,
    [...command, ...bind, ...control, ...flags, app],
    isOurs ? PROJECT : PYTHON_APPS,
  );
  try {
    const [, url] = await program.said(READY[name]);
    await program.answers(`${url}/`);
    return { program, url: url! };
  } catch (error) {
    await program.stop();
    throw error;
  }
}

/** The process that makes the load. */
export class Driver {
  readonly #process: ChildProcess = fork(fileURLToPath(new URL('./driver.ts', import.meta.url)));

  /** So many clients for so many ms. */
  async drive(
    server: Server,
    topology: Topology,
    work: Work,
    connections: number,
    ms: number,
    seed: number,
  ): Promise<Drive> {
    const requests = work.paths.map(([path, weight]) =>
      plannedRequest(`${server.url}${pathIn(topology, path)}`, undefined, weight),
    );
    const plan = usualPlan(work.name, requests, {
      stages: [{ durationMs: ms, from: connections, to: connections }],
      connections,
      isKeepalive: topology.isKeepalive,
      seed,
    });
    const ended = new AbortController();
    const { signal } = ended;
    try {
      const answered = once(this.#process, 'message', { signal });
      const gone = once(this.#process, 'exit', { signal }).then(() => {
        throw new Error('the load generator ended early');
      });
      gone.catch(() => {});
      this.#process.send(plan);
      const [result] = await Promise.race([answered, gone]);
      return result as Drive;
    } finally {
      ended.abort();
    }
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const gone = once(this.#process, 'exit');
    this.#process.disconnect();
    await gone;
  }
}
