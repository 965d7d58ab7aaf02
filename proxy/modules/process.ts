// Directives of the process itself: master, workers, users, files that a process owns. They stand in the main context
// and are read by master.ts and worker.ts. Mirrors ngx_core_commands in nginx.c.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { type Cf, custom, defineModule, flag, MAIN, oneOf, text, time } from '../config/rows.ts';
import { unused } from '../config/unused-row.ts';
import { parseCount } from '../config/values.ts';
import type { ErrorLog } from '../log.ts';
import { parseErrorLog } from './error-log.ts';
import { SYSLOG_NOTE } from './syslog.ts';

/** Whom the workers run as; names are kept because initgroups wants them. */
export interface WorkerUser {
  readonly user: string;
  readonly uid: number;
  readonly group: string;
  readonly gid: number;
}

/** CPU masks as written, rightmost digit is CPU 0; `isAuto` deals the CPUs out one by one. */
export interface Affinity {
  readonly isAuto: boolean;
  readonly masks: readonly string[];
}

export const processModule = defineModule('process', {
  core: {
    daemon: flag(MAIN, true),
    master_process: flag(MAIN, true),
    worker_processes: custom(MAIN, '1', {
      default: 1,
      syntax: 'number | auto',
      defaultText: '1',
      set(cf) {
        if (cf.args[0] === 'auto') return availableParallelism();
        return /^\d+$/.test(cf.args[0]!) ? Number(cf.args[0]) : cf.invalidValue();
      },
    }),
    user: custom<WorkerUser | undefined>(MAIN, '1-2', {
      default: undefined,
      syntax: 'user [group]',
      defaultText: 'nobody nogroup',
      set: parseUser,
    }),
    pid: path('logs/nginx.pid'),
    lock_file: path('logs/nginx.lock', 'Workers share sockets through the kernel, no lock is taken.'),
    working_directory: text(MAIN, undefined, { syntax: 'directory' }),
    worker_rlimit_nofile: custom<number | undefined>(MAIN, '1', { default: undefined, syntax: 'number', set: number }),
    worker_rlimit_core: unused(MAIN, '1', 'size', undefined, 'Core dumps are left as the system sets them.'),
    worker_shutdown_timeout: time(MAIN, '0'),
    worker_priority: custom(MAIN, '1', {
      default: 0,
      syntax: 'number',
      defaultText: '0',
      set: (cf) =>
        /^[-+]?\d+$/.test(cf.args[0]!) ? Number(cf.args[0]) : cf.fail('"worker_priority" directive invalid number'),
    }),
    worker_cpu_affinity: custom<Affinity | undefined>(MAIN, '1+', {
      default: undefined,
      syntax: 'cpumask ... | auto [cpumask]',
      set: parseAffinity,
      note: 'Set through taskset where the system has it.',
    }),
    env: custom<readonly string[]>(MAIN, '1', {
      default: [],
      isRepeatable: true,
      syntax: 'variable[=value]',
      defaultText: 'TZ',
      set: (cf, previous) => [...(previous ?? []), cf.args[0]!],
    }),
    error_log: custom<ErrorLog | undefined>(MAIN, '1+', {
      default: undefined,
      isRepeatable: true,
      syntax: 'file [level]',
      defaultText: 'logs/error.log error',
      note: `Logs of memory: are refused; debug says no more than info. ${SYSLOG_NOTE}`,
      set: parseErrorLog,
    }),
    timer_resolution: unused(MAIN, '1', 'interval', undefined, 'The clock is read when it is needed.'),
    pcre_jit: unused(MAIN, 'flag', 'on | off', 'off', 'Regular expressions are compiled by the runtime.'),
    debug_points: oneOf(MAIN, ['stop', 'abort'], 'abort', { note: 'Accepted; there are no debug points.' }),
    thread_pool: custom<readonly string[]>(MAIN, '2-3', {
      default: [],
      isRepeatable: true,
      syntax: 'name threads=number [max_queue=number]',
      note: 'Files are read by the runtime.',
      set: readThreadPool,
    }),
  },
});

function path(standard: string, note?: string) {
  return custom<string | undefined>(MAIN, '1', {
    default: undefined,
    syntax: 'file',
    defaultText: standard,
    ...(note === undefined ? {} : { note }),
    set: (cf) => cf.compiler.fullPath(cf.args[0]!),
  });
}

function number(cf: Cf): number {
  return /^\d+$/.test(cf.args[0]!) ? Number(cf.args[0]) : cf.fail(`"${cf.name}" directive invalid number`);
}

/** Adds the name of a pool whose numbers are good. */
function readThreadPool(cf: Cf, previous: readonly string[] | undefined): readonly string[] {
  const [name, ...options] = cf.args as [string, ...string[]];
  if (previous?.includes(name)) cf.fail(`duplicate thread pool "${name}"`);
  let hasThreads = false;
  for (const option of options) {
    const [, what, value] = /^(threads|max_queue)=(.*)$/.exec(option) ?? [];
    if (what === undefined) continue;
    const number = parseCount(value!);
    if (number === undefined || (what === 'threads' && number === 0)) cf.fail(`invalid ${what} value "${option}"`);
    hasThreads ||= what === 'threads';
  }
  if (!hasThreads) cf.fail('"thread_pool" must have "threads" parameter');
  cf.compiler.threadPools.add(name);
  return [...(previous ?? []), name];
}

function parseUser(cf: Cf): WorkerUser | undefined {
  if (process.geteuid?.() !== 0) {
    cf.compiler.warn(
      'the "user" directive makes sense only if the master process runs with super-user privileges, ignored',
      cf.directive,
    );
    return undefined;
  }
  const user = cf.args[0]!;
  const group = cf.args[1] ?? user;
  const uid = lookUp('passwd', user);
  if (uid === undefined) return cf.fail(`getpwnam("${user}") failed`);
  const gid = lookUp('group', group);
  if (gid === undefined) return cf.fail(`getgrnam("${group}") failed`);
  return { user, uid, group, gid };
}

/** The number of a user or group: from the local files, else from whatever name service the system uses. */
function lookUp(database: 'passwd' | 'group', name: string): number | undefined {
  const find = (lines: string): number | undefined => {
    for (const line of lines.split('\n')) {
      const fields = line.split(':');
      if (fields[0] === name && /^\d+$/.test(fields[2] ?? '')) return Number(fields[2]);
    }
    return undefined;
  };
  try {
    const found = find(readFileSync(`/etc/${database}`, 'utf8'));
    if (found !== undefined) return found;
  } catch {
    // No such file on this system: ask the name service.
  }
  try {
    return find(execFileSync('getent', [database, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  } catch {
    return undefined;
  }
}

/** The user of workers when nothing is said: nobody, as nginx is built by default. */
export function defaultUser(): WorkerUser | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  const uid = lookUp('passwd', 'nobody');
  const group = lookUp('group', 'nogroup') === undefined ? 'nobody' : 'nogroup';
  const gid = lookUp('group', group);
  return uid === undefined || gid === undefined ? undefined : { user: 'nobody', uid, group, gid };
}

function parseAffinity(cf: Cf): Affinity {
  const isAuto = cf.args[0] === 'auto';
  if (isAuto && cf.args.length > 2) cf.fail('invalid number of arguments in "worker_cpu_affinity" directive');
  const masks = (isAuto ? cf.args.slice(1) : cf.args).map((mask) => {
    const bad = [...mask].reverse().find((c) => !'01 '.includes(c));
    if (bad) cf.fail(`invalid character "${bad}" in "worker_cpu_affinity"`);
    return mask.replaceAll(' ', '');
  });
  return { isAuto, masks };
}
