// Tells whether a pid on record is still the process that was started under it. A pid alone is not enough: after a crash
// or a reboot it may belong to something else, and Portico must never signal that. The start time is what tells them
// apart; it comes from /proc on Linux and from ps elsewhere.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** A pid and when that process started, as the system writes it; equal only for one and the same process. */
export interface ProcessIdentity {
  pid: number;
  startTime: string;
}

/** The identity of a running process, or undefined when there is none (a zombie counts as none). */
export function identify(pid: number): ProcessIdentity | undefined {
  const startTime = process.platform === 'linux' ? fromProc(pid) : fromPs(pid);
  return startTime === undefined ? undefined : { pid, startTime };
}

/** Whether exactly this process is still running. */
export function isRunning(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.startTime === identity.startTime;
}

/** Sends a signal to the process (or, with 'group', to its whole process group); false when there is none any more. */
export function signal(identity: ProcessIdentity, name: NodeJS.Signals, to: 'process' | 'group' = 'process'): boolean {
  try {
    process.kill(to === 'group' ? -identity.pid : identity.pid, name);
    return true;
  } catch {
    return false;
  }
}

/** The command line of a process, for messages; empty when it may not be read. */
export function commandLineOf(pid: number): string {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    return '';
  }
}

function fromProc(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command's name is in parentheses and may hold anything; the fields after the last one are plain.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function fromPs(pid: number): string | undefined {
  try {
    const text = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return text === '' || text.startsWith('Z') ? undefined : text.replace(/^\S+\s+/, '');
  } catch {
    return undefined;
  }
}
