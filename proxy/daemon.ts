// `daemon on`: the process goes to the background. The runtime cannot fork, so the program starts a copy of itself in
// a session of its own and stays until that copy listens (then it exits 0) or has failed (then with its status).
import { spawn } from 'node:child_process';
import { toStderr } from './startup-log.ts';

const MARK = 'PORTICO_DAEMON';

/** Whether this process is the copy in the background. */
export function isDaemon(): boolean {
  return process.env[MARK] === '1';
}

/** An environment whose process is in the background already. */
export function asDaemon(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...env, [MARK]: '1' };
}

/** Starts the copy and ends this process when it is known how that went. */
export function daemonize(argv: readonly string[]): Promise<never> {
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1]!, ...argv], {
    detached: true,
    // Its stderr comes through us: a terminal or pipe that the copy held itself would never be closed.
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: asDaemon(process.env),
  });
  child.stderr!.on('data', (chunk: Buffer) => toStderr(chunk.toString('latin1')));
  return new Promise(() => {
    child.on('message', () => process.exit(0));
    child.on('error', (error) => {
      toStderr(`nginx: [alert] fork() failed (${error.message})\n`);
      process.exit(2);
    });
    // 'close' comes when its stderr has been read to the end.
    child.on('close', (code) => process.exit(code ?? 1));
  });
}

/** In the copy: everything is up, the starting process may go. */
export function tellLauncher(): void {
  if (!isDaemon()) return;
  delete process.env[MARK];
  // A new binary in the place of an old one has no launcher.
  if (!process.send) return;
  process.send('up', () => process.disconnect());
}
