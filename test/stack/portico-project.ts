// A project directory of its own for a test of `portico up`: a compose file over the stand-in service, ports from the
// kernel, and the command run as a process, whose output can be waited for.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const PORTICO = fileURLToPath(new URL('../../stack/portico.ts', import.meta.url));
export const SERVICE = fileURLToPath(new URL('./fixtures/service.mjs', import.meta.url));

/** A running command: its output so far, its end, and what to wait for. */
export class Running {
  readonly child: ChildProcess;
  output = '';
  readonly ended: Promise<{ status: number | null; signal: NodeJS.Signals | null }>;
  readonly #watchers = new Set<() => void>();

  constructor(file: string, args: readonly string[], cwd: string, environment: NodeJS.ProcessEnv = {}) {
    this.child = spawn(file, args, {
      cwd,
      env: { ...process.env, NO_COLOR: '1', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
        for (const look of this.#watchers) look();
      });
    }
    this.ended = new Promise((resolve) => {
      this.child.once('close', (status, signal) => {
        resolve({ status, signal });
        for (const look of this.#watchers) look();
      });
    });
  }

  /** Resolves when the output matches, from `from` on; rejects when the command ends before. */
  async says(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    return await new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(this.output.slice(from));
        if (match !== null) resolve(match);
        else if (this.child.exitCode !== null || this.child.signalCode !== null) {
          reject(new Error(`ended without saying ${pattern}:\n${this.output}`));
        } else return;
        this.#watchers.delete(look);
      };
      this.#watchers.add(look);
      look();
    });
  }
}

export class PorticoProject {
  readonly directory = realpathSync(mkdtempSync(join(tmpdir(), 'portico-stack-')));
  readonly #running: Running[] = [];

  constructor(compose: string) {
    this.write('docker-compose.yml', compose);
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.directory, name), text);
  }

  /** Starts `portico ...args` here. */
  start(...args: string[]): Running {
    const running = new Running(process.execPath, [PORTICO, ...args], this.directory);
    this.#running.push(running);
    return running;
  }

  /** Runs `portico ...args` to its end. */
  async run(...args: string[]): Promise<{ status: number | null; output: string }> {
    const running = this.start(...args);
    const { status } = await running.ended;
    return { status, output: running.output };
  }

  /** The record that `up` keeps, or undefined when there is none. */
  state(): { supervisor: { pid: number }; replicas: Array<{ name: string; process?: { pid: number } }> } | undefined {
    const path = join(this.directory, '.portico/state.json');
    return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
  }

  /** The pids on record. */
  pids(): number[] {
    return (this.state()?.replicas ?? []).flatMap((replica) => replica.process?.pid ?? []);
  }

  /** Stops whatever is still up and removes the directory. */
  async dispose(): Promise<void> {
    await this.run('down');
    for (const { child } of this.#running) child.kill('SIGKILL');
    await Promise.all(this.#running.map(({ ended }) => ended));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A port that was free a moment ago, on every loopback address alike. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Polls until the condition holds; the test's own time limit ends it otherwise. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}
