// How a worker process is started: with the environment that `env` leaves it, its limit of open files, on its CPUs, and
// with young memory of a size for many idle connections. Limits and CPUs are set by the shell and taskset before they
// become the worker, since the runtime cannot.
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type Cycle, coreOf } from './cycle.ts';

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

const TASKSET = '/usr/bin/taskset';

/**
 * A third of it is collected at a time. The runtime's own bound, four times as much, is filled by ten thousand clients that
 * asked once and is kept while they idle, 3 KB each. Requests cost the same CPU time with this much; with half of it those of
 * HTTP/2 cost a fifth more.
 */
const YOUNG_MEMORY = '--max-semi-space-size=16';

/** The command of the worker of a slot. */
export function workerCommand(cycle: Cycle, slot: number, entry: string): Command {
  const core = coreOf(cycle);
  // A user's own choice is on the command line or in the environment.
  const hasChosen = process.env['NODE_OPTIONS']?.includes('semi-space-size');
  let words = [process.execPath, ...(hasChosen ? [] : [YOUNG_MEMORY]), ...process.execArgv, entry];
  const mask = cpuMask(core.worker_cpu_affinity, slot);
  if (mask !== undefined) {
    if (existsSync(TASKSET)) words = [TASKSET, mask, ...words];
    else cycle.log.write('warn', `sched_setaffinity() failed: there is no ${TASKSET}`);
  }
  if (core.worker_rlimit_nofile !== undefined) {
    // A limit that is refused leaves the worker with the one it has, as in nginx.
    words = ['/bin/sh', '-c', 'ulimit -n "$0" 2>/dev/null; exec "$@"', String(core.worker_rlimit_nofile), ...words];
  }
  return { file: words[0]!, args: words.slice(1), env: environment(core.env) };
}

/** TZ, what `env` names, and what the runtime and this program themselves need. */
export function environment(listed: readonly string[]): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const name of Object.keys(process.env)) {
    if (/^(PORTICO_|NODE_)/.test(name) || name === 'PATH' || name === 'TMPDIR') env[name] = process.env[name];
  }
  for (const entry of ['TZ', ...listed]) {
    const equals = entry.indexOf('=');
    if (equals >= 0) env[entry.slice(0, equals)] = entry.slice(equals + 1);
    else if (process.env[entry] !== undefined) env[entry] = process.env[entry];
  }
  return env;
}

/** The mask of a slot in hexadecimal; undefined: any CPU. */
function cpuMask(
  affinity: { isAuto: boolean; masks: readonly string[] } | undefined,
  slot: number,
): string | undefined {
  if (!affinity) return undefined;
  if (!affinity.isAuto) {
    const bits = affinity.masks[Math.min(slot, affinity.masks.length - 1)]!;
    return `0x${BigInt(`0b${bits}`).toString(16)}`;
  }
  const allowed = affinity.masks[0] ?? '1'.repeat(availableParallelism());
  const cpus = [...allowed].reverse().flatMap((bit, cpu) => (bit === '1' ? [cpu] : []));
  if (cpus.length === 0) return undefined;
  return `0x${(1n << BigInt(cpus[slot % cpus.length]!)).toString(16)}`;
}
