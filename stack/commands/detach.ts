// `portico up --detach`: the same command again, in a session of its own, its output in .portico/up.log. The two talk over
// Node's IPC channel until the stack is up; then the first prints the banner and ends, and the second stays.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import type { StateDirectory } from '../local/state.ts';

const MARK = 'PORTICO_DETACHED';
const SHOWN_LINES = 30;

/** What the one in the background tells the one that the user waits for. */
interface Ready {
  banner: string;
}

/** Whether this process is the one in the background. */
export function isDetachedChild(): boolean {
  return process.env[MARK] === '1';
}

/** Tells the waiting parent, if there is one, that the stack is up; its end is then no longer ours. */
export function tellParent(message: Ready): void {
  if (!isDetachedChild() || process.send === undefined) return;
  process.removeAllListeners('disconnect');
  process.send(message, () => process.disconnect());
}

/** Starts the background process and waits until its stack is up; gives the exit status. */
export async function detach(argv: readonly string[], directory: StateDirectory): Promise<number> {
  const log = directory.at('up.log');
  rmSync(log, { force: true });
  const fd = openSync(log, 'a', 0o600);
  const child = spawn(process.execPath, [process.argv[1]!, 'up', ...argv], {
    detached: true,
    env: { ...process.env, [MARK]: '1' },
    stdio: ['ignore', fd, fd, 'ipc'],
  });
  closeSync(fd);
  // A Ctrl-C while waiting is meant for the stack.
  const pass = (): void => void child.kill('SIGTERM');
  process.on('SIGINT', pass);
  process.on('SIGTERM', pass);
  return await new Promise((resolve) => {
    child.once('message', (message) => {
      process.stdout.write((message as Ready).banner);
      process.stdout.write(`Its output goes to ${log}\n`);
      child.disconnect();
      child.unref();
      process.off('SIGINT', pass);
      process.off('SIGTERM', pass);
      resolve(0);
    });
    child.once('exit', (status) => {
      const lines = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-SHOWN_LINES);
      process.stderr.write(`${lines.join('\n')}\nportico: the stack did not come up; all of its output is in ${log}\n`);
      resolve(status === 0 || status === null ? 1 : status);
    });
  });
}
