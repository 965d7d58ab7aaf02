// The two stacks under comparison: the originals, from a Python environment, and ours. PORTICO_REAL_VENV names the environment; in CI one
// is made with pip; elsewhere, and where the versions are others than those that services/versions.ts names, the tests are skipped.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT, type Running, ServerProcess } from '../../services/server-process.ts';

const PYTHON_APPS = fileURLToPath(new URL('../python/', import.meta.url));
const REQUIREMENTS = path.join(PYTHON_APPS, 'requirements.txt');

/** Applications that both sides have. */
export type AppName =
  | 'flask'
  | 'fastapi'
  | 'dump-wsgi'
  | 'dump-asgi'
  | 'missing-module'
  | 'missing-attribute'
  | 'broken';

const APPS: Readonly<Record<AppName, { readonly python: string; readonly ours: string }>> = {
  flask: { python: 'flask_app:app', ours: 'services/apps/flask.ts:app' },
  fastapi: { python: 'fastapi_app:app', ours: 'services/apps/fastapi.ts:app' },
  'dump-wsgi': { python: 'dump:wsgi', ours: 'test/real/app-servers/dump.ts:wsgi' },
  'dump-asgi': { python: 'dump:asgi', ours: 'test/real/app-servers/dump.ts:asgi' },
  'missing-module': { python: 'nothing_here:app', ours: 'nothing_here:app' },
  'missing-attribute': { python: 'flask_app:nothing', ours: 'services/apps/flask.ts:nothing' },
  broken: { python: 'broken:app', ours: 'test/real/app-servers/broken.ts:app' },
};

/** One of the two stacks: starts its servers. */
export class Side {
  readonly name: 'real' | 'ours';
  readonly #bin: string | null;
  readonly #servers: ServerProcess[] = [];

  constructor(bin: string | null) {
    this.name = bin === null ? 'ours' : 'real';
    this.#bin = bin;
  }

  /** Starts a server without waiting for anything. */
  spawn(
    program: 'gunicorn' | 'uvicorn',
    app: AppName,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): ServerProcess {
    const uri = this.#bin === null ? APPS[app].ours : APPS[app].python;
    const server = new ServerProcess(program, [...args, uri], {
      cwd: this.#bin === null ? ROOT : PYTHON_APPS,
      env: { PYTHONDONTWRITEBYTECODE: '1', PYTHONUNBUFFERED: '1', PORTICO_PYTHON_COST: '0', ...env },
      ...(this.#bin === null ? {} : { command: [path.join(this.#bin, program)] }),
    });
    this.#servers.push(server);
    return server;
  }

  /** Starts Gunicorn on a free port and waits until its first worker boots. */
  async gunicorn(app: AppName, ...args: readonly string[]): Promise<Running> {
    const workerClass = args.includes('--threads') || args.includes('gthread') ? 'gthread' : 'sync';
    // The control socket is a second interface of Gunicorn 25 and later, beside what is compared here.
    const control = this.#bin === null ? [] : ['--no-control-socket'];
    const all = ['-b', '127.0.0.1:0', ...control, ...args];
    const server = this.spawn('gunicorn', app, all, { WORKER_CLASS: workerClass });
    const port = Number((await server.said(/Listening at: http:\/\/127\.0\.0\.1:(\d+)/))[1]);
    await server.said(/Booting worker/);
    return { server, port, url: `http://127.0.0.1:${port}` };
  }

  /** Starts Uvicorn on a free port and waits until it serves. */
  async uvicorn(app: AppName, ...args: readonly string[]): Promise<Running> {
    const server = this.spawn('uvicorn', app, ['--port', '0', ...args]);
    const port = Number((await server.said(/Uvicorn running on http:\/\/127\.0\.0\.1:(\d+)/))[1]);
    return { server, port, url: `http://127.0.0.1:${port}` };
  }

  /** Ends whatever still runs. */
  async stop(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.stop()));
  }
}

/** Both stacks, or why there is no real one. */
export function findPeers(): { readonly real: Side; readonly ours: Side } | { readonly reason: string } {
  const bin = findBin();
  return typeof bin === 'string' ? { real: new Side(bin), ours: new Side(null) } : bin;
}

/** Where python, gunicorn and uvicorn are in the versions under comparison, or why they are not. */
export function findBin(): string | { readonly reason: string } {
  const venv = process.env['PORTICO_REAL_VENV'] ?? (process.env['CI'] ? makeVenv() : null);
  if (venv === null)
    return {
      reason: 'PORTICO_REAL_VENV names no Python environment (pip install -r test/real/python/requirements.txt)',
    };
  if (typeof venv !== 'string') return venv;
  const bin = path.join(venv, 'bin');
  const wrong = wrongVersion(path.join(bin, 'python'));
  return wrong === null ? bin : { reason: wrong };
}

/** What the environment lacks of the required versions; null when nothing. */
function wrongVersion(python: string): string | null {
  if (!existsSync(python)) return `there is no ${python}`;
  for (const [, name, version] of readFileSync(REQUIREMENTS, 'utf8').matchAll(/^(\w+)\S*==(\S+)$/gm)) {
    const code = `from importlib.metadata import version; print(version("${name}"))`;
    let found: string;
    try {
      found = execFileSync(python, ['-c', code], { encoding: 'utf8', stdio: 'pipe' }).trim();
    } catch {
      return `${python} has no ${name}`;
    }
    if (found !== version) return `${name} is ${found}, the tests were written for ${version}`;
  }
  return null;
}

function makeVenv(): string | { readonly reason: string } {
  const venv = path.join(os.tmpdir(), 'portico-real-venv');
  const mark = path.join(venv, 'complete');
  if (existsSync(mark)) return venv;
  const run = (file: string, ...args: readonly string[]): unknown =>
    execFileSync(file, args, { stdio: 'pipe', timeout: 180_000 });
  try {
    run('python3', '-m', 'venv', '--clear', venv);
    run(path.join(venv, 'bin', 'python'), '-m', 'pip', 'install', '--quiet', '-r', REQUIREMENTS);
    writeFileSync(mark, '');
    return venv;
  } catch (error) {
    return { reason: `pip cannot make an environment (${(error as Error).message.split('\n')[0]})` };
  }
}
