// Starting peers, and reading from /proc what they cost: CPU time of a process and all its children, and memory.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, readSync, unlinkSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Clock ticks a second of /proc/PID/stat (USER_HZ is 100 on every Linux that Node supports). */
const TICKS = 100;

/** Whether a program can be run. */
export function hasProgram(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' }).status === 0;
}

/** `taskset -c CORE` in front of a command, where that exists and there is more than one core. */
export function pinned(core: number, command: readonly string[]): string[] {
  return hasProgram('taskset') ? ['taskset', '-c', String(core), ...command] : [...command];
}

let started = 0;
const running = new Set<ChildProcess>();

// Ctrl-C, or a mistake of ours: what was started ends with us.
process.on('exit', () => {
  for (const child of running) child.kill('SIGTERM');
});
for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.once(signal, () => process.exit(status));

/**
 * Starts a command, in `cwd`; its complaints are shown if it fails. They go to a file that has no name any more, and not to a
 * pipe: nobody would read that while a generator runs, and a server whose log fills a pipe stands still.
 */
export function start(command: readonly string[], cwd?: string, env?: NodeJS.ProcessEnv): ChildProcess {
  const file = join(tmpdir(), `portico-bench-errors-${process.pid}-${started++}`);
  const errors = openSync(file, 'w+');
  unlinkSync(file);
  const child = spawn(command[0]!, command.slice(1), {
    stdio: ['ignore', 'ignore', errors],
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env: { ...process.env, ...env } }),
  });
  running.add(child);
  child.on('exit', (code) => {
    running.delete(child);
    const said = Buffer.alloc(500);
    if (code)
      process.stderr.write(
        `${command.join(' ')} exited with ${code}: ${said.toString('utf8', 0, readSync(errors, said, 0, said.length, 0))}\n`,
      );
    closeSync(errors);
  });
  return child;
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill('SIGTERM');
  await gone;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

/** Resolves when something accepts on the port; gives up after 10 s. */
export async function listening(port: number): Promise<void> {
  for (let i = 0; i < 500; i++) {
    const isUp = await new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1');
      socket.on('connect', () => {
        socket.destroy();
        done(true);
      });
      socket.on('error', () => done(false));
    });
    if (isUp) return;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`nothing listens on port ${port}`);
}

/** A process and its descendants. */
export function family(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 4).split(' ')[0]));
    } catch {
      // It ended meanwhile.
    }
  }
  const found = [pid];
  for (const known of found) for (const [child, parent] of parents) if (parent === known) found.push(child);
  return found;
}

/** CPU time (user and system, ms) of processes. */
export function cpuTimeMs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      ticks += Number(fields[11]) + Number(fields[12]);
    } catch {
      // It ended meanwhile.
    }
  }
  return (ticks * 1000) / TICKS;
}

/** Resident memory of processes, in bytes. */
export function residentBytes(pids: readonly number[]): number {
  let bytes = 0;
  for (const pid of pids) {
    try {
      bytes += Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
    } catch {
      // It ended meanwhile.
    }
  }
  return bytes;
}
