/**
 * Uvicorn's log: `INFO:     text` to standard error, access lines to standard output, coloured on a terminal. Levels and widths are those
 * of uvicorn/logging.py.
 */

import { isatty } from 'node:tty';
import type { HttpScope } from '../asgi.ts';
import { PYTHON_PHRASES } from '../http/status-phrases.ts';
import { writeAll } from './log-file.ts';

const LEVELS = { trace: 5, debug: 10, info: 20, warning: 30, error: 40, critical: 50 } as const;
type Level = keyof typeof LEVELS;

const COLORS: Readonly<Record<Level, string>> = {
  trace: '34',
  debug: '36',
  info: '32',
  warning: '33',
  error: '31',
  critical: '91',
};
const STATUS_COLORS = ['', '97', '32', '33', '31', '91'];

const paint = (code: string, text: string): string => `\u001b[${code}m${text}\u001b[0m`;

// What encodeURI() leaves alone and Python's quote() does not.
const UNQUOTED = /[?#()'!*,;:@&=+$]/g;
const percent = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;

/** The path and query of a scope as an access line shows them. */
export function pathWithQuery(scope: Pick<HttpScope, 'path' | 'query_string'>): string {
  const path = encodeURI(scope.path).replace(UNQUOTED, percent);
  const query = Buffer.from(scope.query_string).toString('latin1');
  return query === '' ? path : `${path}?${query}`;
}

/** The log of one process. */
export class UvicornLog {
  readonly #minimum: number;
  readonly #colors: boolean;
  readonly #accessColors: boolean;
  readonly access: ((scope: HttpScope, status: number) => void) | null;

  constructor(options: {
    readonly level: string | null;
    readonly hasAccessLog: boolean;
    readonly colors: boolean | null;
  }) {
    this.#minimum = LEVELS[(options.level ?? 'info') as Level] ?? LEVELS.info;
    this.#colors = options.colors ?? isatty(2);
    this.#accessColors = options.colors ?? isatty(1);
    this.access =
      options.hasAccessLog && this.#minimum <= LEVELS.info ? (scope, status) => this.#access(scope, status) : null;
  }

  debug(message: string): void {
    this.#line('debug', message);
  }

  info(message: string): void {
    this.#line('info', message);
  }

  warning(message: string): void {
    this.#line('warning', message);
  }

  error(message: string): void {
    this.#line('error', message);
  }

  #line(level: Level, message: string): void {
    if (LEVELS[level] < this.#minimum) return;
    writeAll(2, `${prefix(level, this.#colors)} ${message}\n`);
  }

  #access(scope: HttpScope, status: number): void {
    const client = scope.client ? scope.client.join(':') : '';
    const phrase = `${status} ${PYTHON_PHRASES[status] ?? ''}`;
    const request = `${scope.method} ${pathWithQuery(scope)} HTTP/${scope.http_version}`;
    const shown = this.#accessColors ? paint('1', request) : request;
    const state = this.#accessColors ? paint(STATUS_COLORS[Math.floor(status / 100)] ?? '', phrase) : phrase;
    writeAll(1, `${prefix('info', this.#accessColors)} ${client} - "${shown}" ${state}\n`);
  }
}

function prefix(level: Level, colors: boolean): string {
  const name = level.toUpperCase();
  return `${colors ? paint(COLORS[level], name) : name}:${' '.repeat(8 - name.length)}`;
}
