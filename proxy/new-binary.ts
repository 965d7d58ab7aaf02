// A new binary takes over on the fly (USR2): the old master renames its pid file to `….oldbin` and starts this program
// again, which finds the bound sockets open under the numbers that NGINX names; both serve until the old one is told to
// go (WINCH, QUIT), or the new one goes and the old one stays. Mirrors ngx_exec_new_binary and
// ngx_add_inherited_sockets.
import { type ChildProcess, spawn } from 'node:child_process';
import { renameSync } from 'node:fs';
import { errnoText } from './config/error.ts';
import { asDaemon } from './daemon.ts';
import type { ListenSockets } from './listen/sockets.ts';
import type { LogLevel } from './log.ts';
import { environment } from './worker-command.ts';

type Write = (level: LogLevel, message: string) => void;

/** Numbers of the inherited sockets, `3;4;`. */
const NUMBERS = 'NGINX';
/** Their keys, which nginx asks the system for. */
const KEYS = 'PORTICO_LISTEN';
/** What belongs to the old master alone. */
const OWN = ['PORTICO_ZONES'];
/** The first number behind stdin, stdout and stderr. */
const FIRST = 3;

const parent = process.ppid;

/** Whether the process that started this one is still there; for a new binary that is the old one. */
export function hasParent(): boolean {
  return process.ppid === parent;
}

export function oldPidFile(pidFile: string): string {
  return `${pidFile}.oldbin`;
}

/** Starts the program anew with the sockets of this one. Undefined: it could not be done, and the log says why. */
export function startNewBinary(
  sockets: ListenSockets,
  pidFile: string,
  listed: readonly string[],
  write: Write,
): ChildProcess | undefined {
  const program = process.argv[1]!;
  const old = oldPidFile(pidFile);
  try {
    renameSync(pidFile, old);
  } catch (error) {
    const when = `before executing new binary process "${program}"`;
    write('alert', `rename() ${pidFile} to ${old} failed ${when} ${errnoText(error)}`);
    return undefined;
  }
  const entries = sockets.entries();
  const env = environment(listed);
  for (const name of OWN) delete env[name];
  const child = spawn(process.execPath, [...process.execArgv, program, ...process.argv.slice(2)], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', ...entries.map(({ handle }) => handle.fd)],
    env: asDaemon({
      ...env,
      [NUMBERS]: entries.map((_, i) => `${FIRST + i};`).join(''),
      [KEYS]: JSON.stringify(entries.map(({ key }) => key)),
    }),
  });
  child.on('error', (error) => {
    write('alert', `execve() failed while executing new binary process "${program}" (${error.message})`);
  });
  if (child.pid === undefined) {
    takePidFileBack(pidFile, 'an attempt to execute', write);
    return undefined;
  }
  write('notice', `start new binary process ${child.pid}`);
  return child;
}

/** The new binary is gone: its pid file's name is the old one's again. */
export function takePidFileBack(pidFile: string, what: string, write: Write): void {
  const old = oldPidFile(pidFile);
  try {
    renameSync(old, pidFile);
  } catch (error) {
    const when = `after ${what} new binary process "${process.argv[1]}"`;
    write('alert', `rename() ${old} back to ${pidFile} failed ${when} ${errnoText(error)}`);
  }
}

/** In the new binary: takes the sockets over that it was started with. */
export function inheritSockets(sockets: ListenSockets, write: Write): void {
  const { [NUMBERS]: numbers, [KEYS]: keys } = process.env;
  if (numbers === undefined || keys === undefined) return;
  delete process.env[NUMBERS];
  delete process.env[KEYS];
  write('notice', `using inherited sockets from "${numbers}"`);
  for (const [i, key] of (JSON.parse(keys) as string[]).entries()) sockets.adopt(key, FIRST + i);
}
