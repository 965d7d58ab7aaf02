/**
 * A command line as Python's argparse reads it: Gunicorn's parser. Flags come from the settings rows; errors go to stderr as
 * `usage: ...` and `gunicorn: error: ...` with status 2, in argparse's words, abbreviations of long flags included.
 */
import { reprString } from '../python-repr.ts';
import { parseInteger, type SettingRow } from './setting.ts';

/** What was typed: raw values by setting name, and the positional arguments. */
export interface ParsedArguments {
  readonly values: Map<string, unknown>;
  readonly positionals: readonly string[];
  readonly help: boolean;
  readonly version: boolean;
}

/** A command line that argparse would refuse; the message is what follows `error: `. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** How a parser differs from Gunicorn's: extra positional rules are the caller's. */
export interface ArgumentParserOptions {
  readonly rows: readonly SettingRow[];
  readonly versionFlags: readonly string[];
}

function takesNoValue(row: SettingRow): boolean {
  return row.kind === 'bool' || row.kind === 'bool?';
}

function title(row: SettingRow): string {
  return row.flags.join('/');
}

function resolveFlag(flag: string, known: readonly string[]): string | null {
  if (known.includes(flag)) return flag;
  if (!flag.startsWith('--')) return null;
  const matches = known.filter((candidate) => candidate.startsWith(flag));
  if (matches.length > 1) throw new UsageError(`ambiguous option: ${flag} could match ${matches.join(', ')}`);
  return matches[0] ?? null;
}

function typed(row: SettingRow, text: string): unknown {
  if (row.kind !== 'int' && row.kind !== 'int?') return text;
  if (row.name === 'umask' || row.name === 'control_socket_mode') return text;
  const number = parseInteger(text);
  if (Number.isNaN(number)) throw new UsageError(`argument ${title(row)}: invalid int value: ${reprString(text)}`);
  return number;
}

function looksLikeFlag(text: string): boolean {
  return text.startsWith('-') && text !== '-' && !/^-\d+$|^-\d*\.\d+$/.test(text) && !text.includes(' ');
}

/** Reads a command line; throws UsageError for what argparse would exit 2 on. */
export function parseArguments(argv: readonly string[], options: ArgumentParserOptions): ParsedArguments {
  const byFlag = new Map<string, SettingRow>();
  for (const row of options.rows) for (const flag of row.flags) byFlag.set(flag, row);
  const known = [...byFlag.keys(), '-h', '--help', ...options.versionFlags];
  const values = new Map<string, unknown>();
  const positionals: string[] = [];
  const unknown: string[] = [];
  let help = false;
  let version = false;

  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? '';
    if (word === '--') {
      positionals.push(...argv.slice(index + 1));
      break;
    }
    if (!looksLikeFlag(word)) {
      positionals.push(word);
      continue;
    }
    const equals = word.startsWith('--') ? word.indexOf('=') : -1;
    let flag = resolveFlag(equals < 0 ? word : word.slice(0, equals), known);
    let attached = equals < 0 ? null : word.slice(equals + 1);
    if (!flag && !word.startsWith('--') && known.includes(word.slice(0, 2))) {
      flag = word.slice(0, 2);
      attached = word.slice(2).replace(/^=/, '');
    }
    if (!flag) {
      unknown.push(word);
      continue;
    }
    if (flag === '-h' || flag === '--help') {
      help = true;
      break;
    }
    if (options.versionFlags.includes(flag)) {
      version = true;
      break;
    }
    const row = byFlag.get(flag);
    if (!row) continue;
    if (takesNoValue(row)) {
      if (attached !== null && word.startsWith('--')) {
        throw new UsageError(`argument ${title(row)}: ignored explicit argument ${reprString(attached)}`);
      }
      values.set(row.name, row.stores ?? true);
      if (attached) argv = [...argv.slice(0, index + 1), `-${attached}`, ...argv.slice(index + 1)];
      continue;
    }
    if (
      row.name === 'proxy_protocol' &&
      attached === null &&
      (argv[index + 1] === undefined || looksLikeFlag(argv[index + 1] ?? ''))
    ) {
      values.set(row.name, 'auto');
      continue;
    }
    const next = argv[index + 1];
    if (attached === null && (next === undefined || looksLikeFlag(next))) {
      throw new UsageError(`argument ${title(row)}: expected one argument`);
    }
    const text = attached ?? next ?? '';
    if (attached === null) index++;
    const value = typed(row, text);
    if (row.kind === 'strings')
      values.set(row.name, [...((values.get(row.name) as string[] | undefined) ?? []), value]);
    else values.set(row.name, value);
  }
  if (unknown.length > 0 && !help && !version) throw new UsageError(`unrecognized arguments: ${unknown.join(' ')}`);
  return { values, positionals, help, version };
}

/** The options part of --help, two columns, wrapped, defaults in brackets as Gunicorn shows them. */
export function formatOptions(rows: readonly SettingRow[], show: (value: unknown) => string): string {
  const lines: string[] = [];
  for (const row of rows) {
    if (row.flags.length === 0) continue;
    const metavar = takesNoValue(row) ? '' : ` ${row.metavar ?? row.name.toUpperCase()}`;
    const head = `  ${row.flags.map((flag) => flag + metavar).join(', ')}`;
    const words = `${row.doc} [${show(row.default)}]`.split(' ');
    const wrapped: string[] = [];
    let line = '';
    for (const word of words) {
      if (line !== '' && line.length + word.length + 1 > 55) {
        wrapped.push(line);
        line = word;
      } else line = line === '' ? word : `${line} ${word}`;
    }
    wrapped.push(line);
    if (head.length <= 22) lines.push(head.padEnd(24) + (wrapped.shift() ?? ''));
    else lines.push(head);
    for (const rest of wrapped) lines.push(' '.repeat(24) + rest);
  }
  return lines.join('\n');
}
