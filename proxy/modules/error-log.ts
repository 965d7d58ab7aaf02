// `error_log file [level]`, wherever it stands.
import type { Compiler } from '../config/compile.ts';
import type { Cf } from '../config/rows.ts';
import { ErrorLog, LEVELS, LogFile, type LogLevel } from '../log.ts';
import { parseSyslog } from './syslog.ts';

/** The log file of a path, shared across the configuration and opened when it was read whole. */
export function logFile(compiler: Compiler, path: string): LogFile {
  const full = path === 'stderr' ? path : compiler.fullPath(path);
  return compiler.shared(`log:${full}`, () => {
    const file = new LogFile(full);
    compiler.logFiles.push(file);
    return file;
  });
}

/** What debugging may be narrowed to, where there is any. */
const DEBUG_PARTS = ['core', 'alloc', 'mutex', 'event', 'http', 'mail', 'stream'].map((part) => `debug_${part}`);

/** The row's `set`: adds a target to the level's log. */
export function parseErrorLog(cf: Cf, previous: ErrorLog | undefined): ErrorLog {
  const [target, ...rest] = cf.args as [string, ...string[]];
  let named: LogLevel | undefined;
  let isPartly = false;
  for (const word of rest) {
    const found = LEVELS.find((l) => l === word);
    if (found && (named || isPartly)) cf.fail(`duplicate log level "${word}"`);
    if (found) named = found;
    else if (DEBUG_PARTS.includes(word) && !named) isPartly = true;
    else cf.fail(`invalid log level "${word}"`);
  }
  const level = named ?? (isPartly ? 'debug' : 'error');
  if (target.startsWith('memory:')) cf.fail('"memory:" logging is out of Portico\'s scope');
  const file = target.startsWith('syslog:') ? parseSyslog(cf, target) : logFile(cf.compiler, target);
  return new ErrorLog([...(previous?.targets ?? []), { file, level }]);
}
