// What processes cost, from /proc: a process with all that it has started, its memory, its CPU time. Gives nothing where there
// is no /proc.
import { readdirSync, readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

/** Processes and their descendants. */
export function familyOf(pids: readonly number[]): number[] {
  const parents = new Map<number, number>();
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return [...pids];
  }
  for (const name of names) {
    if (!/^\d+$/.test(name)) continue;
    const fields = statOf(Number(name));
    if (fields !== undefined) parents.set(Number(name), Number(fields[1]));
  }
  const family = [...pids];
  for (const known of family)
    for (const [child, parent] of parents) if (parent === known && !family.includes(child)) family.push(child);
  return family;
}

/** Resident memory in bytes. */
export function residentBytes(pids: readonly number[]): number {
  let bytes = 0;
  for (const pid of pids) {
    try {
      bytes += Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
    } catch {
      // It has ended.
    }
  }
  return bytes;
}

/** CPU time so far, ms. */
export function cpuMs(pid: number): number {
  const fields = statOf(pid);
  return fields === undefined ? 0 : ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

/** What processes have had of the CPUs, and what they had to wait for them, ms. */
export interface CpuDemand {
  readonly ranMs: number;
  readonly waitedMs: number;
}

/**
 * What the threads of processes ran, and how long they were ready to run while others had the CPUs. The sum is what they had
 * use for, however busy the machine is. Undefined where the kernel does not tell.
 */
export function cpuDemand(pids: readonly number[]): CpuDemand | undefined {
  let ranMs = 0;
  let waitedMs = 0;
  for (const pid of pids) {
    try {
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const [ran, waited] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ').map(Number);
        ranMs += ran! / 1e6;
        waitedMs += waited! / 1e6;
      }
    } catch {
      // It has ended.
    }
  }
  return ranMs === 0 ? undefined : { ranMs, waitedMs };
}

/** The fields of /proc/PID/stat behind the name. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
