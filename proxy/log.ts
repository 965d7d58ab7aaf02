// error_log in nginx's format: `2026/11/22 14:00:00 [error] 12#12: *3 message, client: …`. A line is written at once
// and with one system call, because it must be there when the process dies; access logs (modules/access-log) batch.
import { closeSync, openSync, writeSync } from 'node:fs';
import { errorTimeNow } from './clock.ts';
import { ConfigError, errnoText } from './config/error.ts';

export const LEVELS = ['emerg', 'alert', 'crit', 'error', 'warn', 'notice', 'info', 'debug'] as const;
export type LogLevel = (typeof LEVELS)[number];

/** Rank of a level; a log keeps what ranks at most as high as its own. */
export const LEVEL_RANK: Readonly<Record<LogLevel, number>> = {
  emerg: 1,
  alert: 2,
  crit: 3,
  error: 4,
  warn: 5,
  notice: 6,
  info: 7,
  debug: 8,
};

/** A file that is appended to and can be reopened (USR1). Shared by all logs of one path. */
export class LogFile {
  readonly path: string;
  /** Takes what would be written; the file is then never opened. */
  sink: ((text: string) => void) | undefined;
  #fd = -1;

  constructor(path: string) {
    this.path = path;
  }

  /** False for stderr and for what is no file. */
  get isOnDisk(): boolean {
    return this.path !== 'stderr';
  }

  /** Opens the file; throws a ConfigError with nginx's text. */
  open(): void {
    if (this.#fd >= 0 || this.sink) return;
    if (this.path === 'stderr') {
      this.#fd = 2;
      return;
    }
    try {
      this.#fd = openSync(this.path, 'a', 0o644);
    } catch (error) {
      throw new ConfigError(`open() "${this.path}" failed ${errnoText(error)}`);
    }
  }

  /** Writes a line; `level` is for those who pass it on. */
  write(text: string, _level?: LogLevel): void {
    if (this.sink) this.sink(text);
    if (this.#fd < 0) return;
    const bytes = Buffer.from(text, 'latin1');
    try {
      writeSync(this.#fd, bytes);
    } catch {
      // A full disk or a closed pipe must not stop the proxy; nginx drops the line as well.
    }
  }

  reopen(): void {
    if (this.#fd < 3) return;
    const old = this.#fd;
    try {
      this.#fd = openSync(this.path, 'a', 0o644);
      closeSync(old);
    } catch {
      this.#fd = old;
    }
  }

  close(): void {
    if (this.#fd > 2) closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** Where a line goes and from which level on. */
export interface LogTarget {
  readonly file: { write(text: string, level?: LogLevel): void };
  readonly level: LogLevel;
}

/** One `error_log` setting: all its targets. */
export class ErrorLog {
  readonly targets: readonly LogTarget[];
  readonly #rank: number;

  constructor(targets: readonly LogTarget[]) {
    this.targets = targets;
    this.#rank = Math.max(0, ...targets.map((t) => LEVEL_RANK[t.level]));
  }

  isOn(level: LogLevel): boolean {
    return LEVEL_RANK[level] <= this.#rank;
  }

  /** Writes `message`; `connection` is the connection's number where there is one. */
  write(level: LogLevel, message: string, connection?: number): void {
    const rank = LEVEL_RANK[level];
    if (rank > this.#rank) return;
    const about = connection === undefined ? '' : `*${connection} `;
    const line = `${errorTimeNow()} [${level}] ${process.pid}#${process.pid}: ${about}${message}\n`;
    for (const target of this.targets) {
      if (rank <= LEVEL_RANK[target.level]) target.file.write(line, level);
    }
  }
}

/** The process's error_log, used where no http, server or location level has its own; set when a worker starts. */
export const processLog: { log: ErrorLog | undefined } = { log: undefined };

/** Writes an error that belongs to no connection. */
export function logProcessError(message: string): void {
  processLog.log?.write('error', message);
}
