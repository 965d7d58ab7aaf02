// Messages of the time before the configuration has a say: to the log that `-e` names and, from warnings upwards, to
// stderr as `nginx: [emerg] …`. Mirrors ngx_log_init and ngx_log_error_core with ngx_use_stderr.
import { writeSync } from 'node:fs';
import { ErrorLog, LEVEL_RANK, LogFile, type LogLevel } from './log.ts';

/** Writes a text to stderr whole; a closed stderr is nobody's problem. */
export function toStderr(text: string): void {
  try {
    writeSync(2, Buffer.from(text, 'latin1'));
  } catch {
    // Nobody reads it any more.
  }
}

export class StartupLog {
  readonly file: LogFile | undefined;
  readonly #log: ErrorLog;
  /** The log is stderr itself: nothing is said twice. */
  readonly #isStderr: boolean;
  /** True while messages go to stderr as well. */
  isOnStderr = true;

  /** `path`: '' for stderr alone. A log that cannot be opened is told of, then done without. */
  constructor(path: string, isTest: boolean) {
    this.#isStderr = path === '';
    let file: LogFile | undefined = new LogFile(path === '' ? 'stderr' : path);
    try {
      file.open();
    } catch (error) {
      toStderr(`nginx: [alert] could not open error log file: ${(error as Error).message}\n`);
      file = undefined;
    }
    this.file = file;
    this.#log = new ErrorLog(file ? [{ file, level: isTest ? 'info' : 'notice' }] : []);
  }

  write(level: LogLevel, message: string): void {
    this.#log.write(level, message);
    if (this.isOnStderr && !this.#isStderr && LEVEL_RANK[level] <= LEVEL_RANK.warn)
      toStderr(`nginx: [${level}] ${message}\n`);
  }
}
