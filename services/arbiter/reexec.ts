/**
 * USR2: a second master beside the first, on the same sockets, for an upgrade that can still be taken back. The new one learns of the
 * old from GUNICORN_PID and of the sockets from GUNICORN_FD, as in Gunicorn; it is promoted when the old one has gone.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { adopted, type Listener } from './listeners.ts';

const FIRST_FD = 3;

/** Whether this process was started by an older master's USR2. */
export function isReexec(): boolean {
  return 'GUNICORN_PID' in process.env;
}

/** Starts the same program again with the listening sockets; `env` is the environment that this one was started with. */
export function startNewMaster(listeners: readonly Listener[], env: NodeJS.ProcessEnv): ChildProcess {
  const fds = listeners.map((listener) => listener.fd);
  return spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: ['inherit', 'inherit', 'inherit', ...fds],
    env: {
      ...env,
      GUNICORN_PID: String(process.pid),
      GUNICORN_FD: fds.map((_, index) => FIRST_FD + index).join(','),
    },
  });
}

/** The sockets of the old master; null when there is none. */
export function adoptFromOldMaster(): Listener[] | null {
  if (!isReexec()) return null;
  const fds = process.env['GUNICORN_FD']?.split(',').map(Number) ?? [];
  delete process.env['GUNICORN_FD'];
  delete process.env['GUNICORN_PID'];
  return fds.map((fd) => {
    const listener = adopted(fd);
    if (typeof listener === 'number') throw new Error(`cannot adopt descriptor ${fd}: errno ${-listener}`);
    return listener;
  });
}
