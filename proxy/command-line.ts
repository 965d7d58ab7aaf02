// nginx's command line: its options, their errors, and where prefix, configuration and log are. Mirrors
// ngx_get_options and ngx_process_options; texts go to stderr as nginx writes them.
import { NGINX_VERSION } from './http/error-page.ts';

export type SignalName = 'stop' | 'quit' | 'reopen' | 'reload';

export interface Options {
  readonly showsHelp: boolean;
  readonly showsVersion: boolean;
  readonly showsConfigure: boolean;
  readonly isTest: boolean;
  readonly isDump: boolean;
  readonly isQuiet: boolean;
  readonly signal: SignalName | undefined;
  /** Absolute, with a trailing slash. */
  readonly prefix: string;
  /** Absolute path of the configuration file. */
  readonly confFile: string;
  /** Absolute path of the log until the configuration names another; '' for stderr. */
  readonly errorLog: string;
  readonly globals: string | undefined;
}

/** A bad option; the message is what nginx prints behind `nginx: `. */
export class OptionError extends Error {}

const SIGNALS: readonly string[] = ['stop', 'quit', 'reopen', 'reload'];

/** Reads `argv` (without the program's name). Throws OptionError. */
export function parseOptions(argv: readonly string[]): Options {
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const needs: Readonly<Record<string, string>> = {
    p: 'directory name',
    e: 'file name',
    c: 'file name',
    g: 'parameter',
    s: 'parameter',
  };
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (!word.startsWith('-')) throw new OptionError(`invalid option: "${word}"`);
    for (let at = 1; at < word.length; at++) {
      const letter = word[at]!;
      if ('?hvVtTq'.includes(letter)) {
        flags.add(letter);
        continue;
      }
      const what = needs[letter];
      if (what === undefined) throw new OptionError(`invalid option: "${letter}"`);
      const value = word.slice(at + 1) || argv[++i];
      if (!value) throw new OptionError(`option "-${letter}" requires ${what}`);
      if (letter === 's' && !SIGNALS.includes(value)) throw new OptionError(`invalid option: "-s ${value}"`);
      values.set(letter, value);
      break;
    }
  }
  const cwd = process.cwd();
  const absolute = (path: string, base: string): string => (path.startsWith('/') ? path : base + path);
  const written = values.get('p');
  const prefix = absolute(written === undefined ? '' : written.endsWith('/') ? written : `${written}/`, `${cwd}/`);
  const log = values.get('e') ?? 'logs/error.log';
  return {
    showsHelp: flags.has('?') || flags.has('h'),
    showsVersion: ['?', 'h', 'v', 'V'].some((f) => flags.has(f)),
    showsConfigure: flags.has('V'),
    isTest: flags.has('t') || flags.has('T'),
    isDump: flags.has('T'),
    isQuiet: flags.has('q'),
    signal: values.get('s') as SignalName | undefined,
    prefix,
    confFile: absolute(values.get('c') ?? 'conf/nginx.conf', prefix),
    errorLog: log === 'stderr' ? '' : absolute(log, prefix),
    globals: values.get('g'),
  };
}

/** What `-v` prints. */
export const VERSION_LINE = `nginx version: nginx/${NGINX_VERSION}\n`;

/** What `-h` prints behind the version. */
export const USAGE = `Usage: nginx [-?hvVtTq] [-s signal] [-p prefix]
             [-e filename] [-c filename] [-g directives]

Options:
  -?,-h         : this help
  -v            : show version and exit
  -V            : show version and configure options then exit
  -t            : test configuration and exit
  -T            : test configuration, dump it and exit
  -q            : suppress non-error messages during configuration testing
  -s signal     : send signal to a master process: stop, quit, reopen, reload
  -p prefix     : set prefix path (default: NONE)
  -e filename   : set error log file (default: logs/error.log)
  -c filename   : set configuration file (default: conf/nginx.conf)
  -g directives : set global directives out of configuration file

`;
