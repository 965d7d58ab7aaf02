// The app servers: the real Gunicorn and Uvicorn, from the Python environment that PORTICO_REAL_VENV names, beside ours with the
// modeled cost of Python turned off, each with the same application. Workers, logs and all else are as their defaults are.
import { type ChildProcess, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AppServer } from './cases.ts';
import type { RunningPeer } from './peers.ts';
import { freePort, listening, pinned, start, stop } from './processes.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BARE = join(ROOT, 'bench/apps');
const DEMO = join(ROOT, 'test/real/python');

/** Each application for both: the directory and name for Python, and for ours from the root of the repository. */
const APPS: Readonly<Record<AppServer['app'], { directory: string; python: string; ours: string }>> = {
  wsgi: { directory: BARE, python: 'bare:wsgi', ours: 'bench/apps/bare.ts:wsgi' },
  asgi: { directory: BARE, python: 'bare:asgi', ours: 'bench/apps/bare.ts:asgi' },
  flask: { directory: DEMO, python: 'flask_app:app', ours: 'services/apps/flask.ts:app' },
  fastapi: { directory: DEMO, python: 'fastapi_app:app', ours: 'services/apps/fastapi.ts:app' },
  def: { directory: BARE, python: 'def_hello:app', ours: 'bench/apps/def-hello.ts:app' },
};

/** The programs of the real app servers, or why there are none. */
export function realAppServers(): { readonly bin: string } | { readonly missing: string } {
  const venv = process.env['PORTICO_REAL_VENV'];
  if (!venv) {
    const how = 'python3 -m venv DIR && DIR/bin/pip install -r test/real/python/requirements.txt';
    return { missing: `the app servers: PORTICO_REAL_VENV names no Python environment (${how})` };
  }
  const bin = join(venv, 'bin');
  const absent = ['gunicorn', 'uvicorn'].find((program) => !existsSync(join(bin, program)));
  return absent === undefined ? { bin } : { missing: `the app servers: there is no ${join(bin, absent)}` };
}

/** What both print as their version, on one line. */
export function versionsOf(bin: string): string {
  return ['gunicorn', 'uvicorn']
    .map((program) => execFileSync(join(bin, program), ['--version'], { encoding: 'utf8' }).trim())
    .join(', ');
}

/** The original and ours, with one application. */
export class AppServers {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'portico-bench-'));
  readonly running: RunningPeer[] = [];
  readonly #processes: ChildProcess[] = [];

  async open(bin: string, { program, args, app }: AppServer): Promise<void> {
    const { directory, python, ours } = APPS[app];
    // The control socket is a second interface of Gunicorn 25 and later, a file in the user's home.
    const control = program === 'gunicorn' ? ['--no-control-socket'] : [];
    const script = join(ROOT, 'services', `${program}.ts`);
    await this.#start(program, program, directory, [join(bin, program), ...control, ...args, python]);
    await this.#start('portico', program, ROOT, [process.execPath, script, '--python-cost', '0', ...args, ours]);
  }

  async #start(name: string, program: AppServer['program'], cwd: string, command: readonly string[]): Promise<void> {
    const port = await freePort();
    const where = program === 'gunicorn' ? ['-b', `127.0.0.1:${port}`] : ['--port', String(port)];
    const typed = [...command.slice(0, -1), ...where, command.at(-1)!];
    const beganMs = performance.now();
    const process = start(pinned(0, typed), cwd, { PYTHONDONTWRITEBYTECODE: '1' });
    this.#processes.push(process);
    await listening(port);
    const startMs = performance.now() - beganMs;
    this.running.push({ name, against: program, can: [], workers: 1, process, httpPort: port, httpsPort: 0, startMs });
  }

  async close(): Promise<void> {
    for (const process of this.#processes) await stop(process);
    rmSync(this.dir, { recursive: true, force: true });
  }
}
