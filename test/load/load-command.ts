// Runs the load command and its servers as real processes, for the tests of load/.
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LoadResult } from '../../load/measure/result.ts';

const PROGRAM = fileURLToPath(new URL('../../stack/portico.ts', import.meta.url));
const running = new Set<ChildProcess>();

export interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `portico ARGS`. */
export function startPortico(args: readonly string[], cwd = process.cwd()): ChildProcess {
  const child = spawn(process.execPath, [PROGRAM, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** Runs `portico ARGS` to its end. */
export async function portico(args: readonly string[], cwd = process.cwd()): Promise<Finished> {
  return await finish(startPortico(args, cwd));
}

/** Waits for a started command's end. */
export async function finish(child: ChildProcess): Promise<Finished> {
  let stdout = '';
  let stderr = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stdout, stderr };
}

/** `portico load --json ARGS`, parsed. */
export async function load(...args: string[]): Promise<LoadResult> {
  const { stdout, stderr, status } = await portico(['load', '--json', ...args]);
  if (!stdout.startsWith('{')) throw new Error(`portico load ${args.join(' ')}: ${status}: ${stderr}`);
  return JSON.parse(stdout) as LoadResult;
}

/** A server with known service times (timed-server.ts); gives its URL. */
export async function startTimedServer(...schedule: Array<string | number>): Promise<string> {
  const child = fork(fileURLToPath(new URL('./timed-server.ts', import.meta.url)), schedule.map(String), {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  running.add(child);
  const [line] = (await once(child.stdout!.setEncoding('utf8'), 'data')) as [string];
  return `http://127.0.0.1:${line.trim()}/`;
}

/** A program of the system, ended with the others. */
export function startProgram(command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

const directories: string[] = [];

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'portico-load-'));
  directories.push(directory);
  return directory;
}

/** Ends what the tests of a file have started; for afterEach or afterAll. */
export async function stopAll(): Promise<void> {
  await Promise.all(
    [...running].map(async (child) => {
      running.delete(child);
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    }),
  );
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
}
