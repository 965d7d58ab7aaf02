// The log phase: every request that ends writes a line to each access log of its location. Mirrors
// ngx_http_log_module (access_log, log_format, open_log_file_cache).
import { statSync } from 'node:fs';
import type { Compiler } from '../config/compile.ts';
import { errnoText } from '../config/error.ts';
import { type Cf, custom, defineModule, HSL, HTTP, LIMIT_EXCEPT, LOCATION_IF } from '../config/rows.ts';
import type { Template } from '../config/template.ts';
import { parseSizeBytes, parseTimeMs } from '../config/values.ts';
import type { Exchange } from '../http/exchange.ts';
import { fsPath } from '../http/fs-path.ts';
import type { Location } from '../http/location.ts';
import { rootPathOf } from '../http/paths.ts';
import type { SyslogPeer } from '../syslog.ts';
import { appendOnce, LogFileCache } from './access-log-cache.ts';
import { AccessLogFile, type Buffering } from './access-log-file.ts';
import { combinedFormat, type LogFormat, parseFormat } from './log-format.ts';
import { parseSyslog, SYSLOG_NOTE } from './syslog.ts';

/** One `access_log`. */
interface AccessLog {
  readonly file: AccessLogFile | undefined;
  /** A path with variables: the file is opened for each line. */
  readonly path: Template | undefined;
  /** A syslog server. */
  readonly peer: SyslogPeer | undefined;
  readonly format: LogFormat;
  readonly condition: Template | undefined;
}

/** `off`, or all logs of a level. */
interface AccessLogs {
  readonly isOff: boolean;
  readonly logs: readonly AccessLog[];
}

export const accessLogModule = defineModule('access-log', {
  main: {
    log_format: custom<ReadonlyMap<string, LogFormat>>(HTTP, '2+', {
      default: new Map(),
      isRepeatable: true,
      syntax: 'name [escape=default|json|none] string ...',
      defaultText: 'combined "..."',
      set(cf) {
        const formats = formatsOf(cf.compiler);
        const name = cf.args[0]!;
        if (formats.has(name)) cf.fail(`duplicate "log_format" name "${name}"`);
        formats.set(name, parseFormat(cf, 1));
        return formats;
      },
    }),
  },
  location: {
    access_log: custom<AccessLogs | undefined>(HSL | LOCATION_IF | LIMIT_EXCEPT, '1+', {
      default: undefined,
      isRepeatable: true,
      syntax:
        'path | syslog:server=address[,parameter=value] [format [buffer=size] [gzip[=level]] [flush=time] [if=condition]] | off',
      defaultText: 'logs/access.log combined',
      note: SYSLOG_NOTE,
      set: parseAccessLog,
    }),
    open_log_file_cache: custom<LogFileCache | false>(HSL, '1-4', {
      default: false,
      syntax: 'max=N [inactive=time] [min_uses=N] [valid=time] | off',
      defaultText: 'off',
      set: parseFileCache,
    }),
  },
});

function formatsOf(compiler: Compiler): Map<string, LogFormat> {
  return compiler.shared(
    'log formats',
    () => new Map<string, LogFormat>([['combined', combinedFormat(compiler.variables)]]),
  );
}

function accessLogFile(compiler: Compiler, path: string): AccessLogFile {
  const full = compiler.fullPath(path);
  return compiler.shared(`access log:${full}`, () => {
    const file = new AccessLogFile(full);
    compiler.logFiles.push(file);
    return file;
  });
}

function parseAccessLog(cf: Cf, previous: AccessLogs | undefined): AccessLogs {
  const [target, name, ...options] = cf.args as [string, string | undefined, ...string[]];
  const logs = previous?.logs ?? [];
  if (target === 'off') {
    if (name !== undefined) cf.invalidParameter(name);
    return { isOff: true, logs };
  }
  const isSyslog = target.startsWith('syslog:');
  const hasVariables = !isSyslog && target.includes('$');
  const format = findFormat(cf, name ?? 'combined');
  let sizeBytes = 0;
  let flushMs = 0;
  let gzipLevel = 0;
  let condition: Template | undefined;
  for (const option of options) {
    const value = option.slice(option.indexOf('=') + 1);
    if (option.startsWith('buffer=')) {
      sizeBytes = parseSizeBytes(value) || cf.fail(`invalid buffer size "${value}"`);
    } else if (option.startsWith('flush=')) {
      flushMs = parseTimeMs(value) || cf.fail(`invalid flush time "${value}"`);
    } else if (option === 'gzip' || option.startsWith('gzip=')) {
      if (sizeBytes === 0) sizeBytes = 64 * 1024;
      if (option === 'gzip') gzipLevel = 1;
      else gzipLevel = /^[1-9]$/.test(value) ? Number(value) : cf.fail(`invalid compression level "${value}"`);
    } else if (option.startsWith('if=')) {
      condition = cf.template(value);
    } else cf.invalidParameter(option);
  }
  if (flushMs && !sizeBytes) cf.fail(`no buffer is defined for access_log "${target}"`);
  if (sizeBytes && hasVariables) cf.fail('buffered logs cannot have variables in name');
  if (hasVariables) {
    const path = cf.template(cf.compiler.fullPath(target));
    const log = { file: undefined, path, peer: undefined, format, condition };
    return { isOff: previous?.isOff ?? false, logs: [...logs, log] };
  }
  const isOff = previous?.isOff ?? false;
  if (isSyslog) {
    if (sizeBytes) cf.fail('logs to syslog cannot be buffered');
    const peer = parseSyslog(cf, target);
    // In other surroundings the lines are taken like those of a file.
    if (!cf.compiler.options.surroundings) {
      return { isOff, logs: [...logs, { file: undefined, path: undefined, peer, format, condition }] };
    }
  }
  const file = accessLogFile(cf.compiler, target);
  if (sizeBytes) {
    const buffering: Buffering = { sizeBytes, flushMs, gzipLevel };
    const old = file.buffering;
    if (old && (old.sizeBytes !== sizeBytes || old.flushMs !== flushMs || old.gzipLevel !== gzipLevel)) {
      cf.fail(`access_log "${target}" already defined with conflicting parameters`);
    }
    file.buffering = buffering;
  }
  return { isOff, logs: [...logs, { file, path: undefined, peer: undefined, format, condition }] };
}

function findFormat(cf: Cf, name: string): LogFormat {
  for (const [known, format] of formatsOf(cf.compiler)) {
    if (known.toLowerCase() === name.toLowerCase()) return format;
  }
  return cf.fail(`unknown log format "${name}"`);
}

function parseFileCache(cf: Cf): LogFileCache | false {
  let max = 0;
  let minUses = 1;
  let inactiveMs = 10_000;
  let validMs = 60_000;
  for (const arg of cf.args) {
    const [name, value = ''] = arg.split('=') as [string, string | undefined];
    const invalid = (): never => cf.fail(`invalid "open_log_file_cache" parameter "${arg}"`);
    const isCount = /^\d+$/.test(value);
    if (arg === 'off') return false;
    if (name === 'max' && isCount) max = Number(value);
    else if (name === 'min_uses' && isCount) minUses = Number(value);
    else if (name === 'inactive') inactiveMs = parseTimeMs(value) ?? invalid();
    else if (name === 'valid') validMs = parseTimeMs(value) ?? invalid();
    else invalid();
  }
  if (max === 0) cf.fail('"open_log_file_cache" must have "max" parameter');
  return new LogFileCache({ max, inactiveMs, validMs, minUses });
}

const LOGS = Symbol('access logs');

/** Prepare: what a location logs to; the standard log where no level says anything. */
export function prepareAccessLogs(location: Location, compiler: Compiler): void {
  const conf = accessLogModule.location(location).access_log;
  if (conf?.isOff) location.prepared.set(LOGS, []);
  else if (conf) location.prepared.set(LOGS, conf.logs);
  else {
    const file = accessLogFile(compiler, 'logs/access.log');
    const format = formatsOf(compiler).get('combined')!;
    location.prepared.set(LOGS, [{ file, path: undefined, peer: undefined, format, condition: undefined }]);
  }
}

/** Writes the request's line to each access log of its location. */
export function writeAccessLog(r: Exchange): void {
  const logs = r.location?.prepared.get(LOGS) as readonly AccessLog[] | undefined;
  if (!logs) return;
  for (const log of logs) {
    if (log.condition) {
      const value = log.condition.evaluate(r);
      if (value === '' || value === '0') continue;
    }
    const line = `${log.format(r)}\n`;
    if (log.file?.observer) log.file.observer(line.slice(0, -1), log.format.values(r));
    else if (log.file) log.file.append(line);
    else if (log.peer) log.peer.write(line);
    else writeToNamed(r, log.path!.evaluate(r), line);
  }
}

/** A path with variables: the location's root must be there, so that a client cannot make files by naming hosts. */
function writeToNamed(r: Exchange, path: string, line: string): void {
  const root = rootPathOf(r);
  if (root === undefined) return;
  try {
    if (!statSync(fsPath(root)).isDirectory()) {
      r.log('error', `testing "${root}" existence failed (20: Not a directory)`);
      return;
    }
  } catch (error) {
    r.log('error', `testing "${root}" existence failed ${errnoText(error)}`);
    return;
  }
  try {
    const cache = accessLogModule.location(r.location).open_log_file_cache;
    if (cache) cache.append(path, line);
    else appendOnce(path, line);
  } catch (error) {
    r.log('crit', `open() "${path}" failed ${errnoText(error)}`);
  }
}
