/**
 * A command line as Click reads it: Uvicorn's parser. Options come from the settings rows and from UVICORN_* variables; errors are
 * `Error: ...` under a usage line, with status 2.
 */
import { reprString } from '../python-repr.ts';
import { parseInteger, type SettingRow } from './setting.ts';

/** A command line that Click would refuse. `hasUsage` says whether the usage lines stand above the message. */
export class ClickError extends Error {
  override readonly name = 'ClickError';
  readonly hasUsage: boolean;

  constructor(message: string, hasUsage = true) {
    super(message);
    this.hasUsage = hasUsage;
  }
}

/** What was typed, or asked for. */
export interface ParsedOptions {
  readonly values: Map<string, unknown>;
  readonly app: string | null;
  readonly help: boolean;
  readonly version: boolean;
}

const isFlag = (row: SettingRow): boolean => row.kind === 'bool' || row.kind === 'bool?';

function value(row: SettingRow, text: string): unknown {
  const refuse = (why: string): never => {
    throw new ClickError(`Invalid value for ${row.flags.map(reprString).join(' / ')}: ${reprString(text)} ${why}`);
  };
  if (row.kind === 'int' || row.kind === 'int?') {
    const number = parseInteger(text);
    return Number.isNaN(number) ? refuse('is not a valid integer.') : number;
  }
  if (row.kind === 'float') {
    const number = Number(text);
    return text.trim() === '' || Number.isNaN(number) ? refuse('is not a valid float.') : number;
  }
  if (isFlag(row)) {
    if (/^(1|true|t|yes|y|on)$/i.test(text)) return true;
    return /^(0|false|f|no|n|off)$/i.test(text) ? false : refuse('is not a valid boolean.');
  }
  if (row.choices && !row.choices.includes(text)) refuse(`is not one of ${row.choices.map(reprString).join(', ')}.`);
  return text;
}

/** How many letters two words share, in order: the longest common part, and then left and right of it. */
function sharedLetters(one: string, other: string): number {
  let [best, from, at] = [0, 0, 0];
  for (let i = 0; i < one.length; i++) {
    for (let j = 0; j < other.length; j++) {
      let length = 0;
      while (i + length < one.length && one[i + length] === other[j + length]) length++;
      if (length > best) [best, from, at] = [length, i, j];
    }
  }
  if (best === 0) return 0;
  const left = sharedLetters(one.slice(0, from), other.slice(0, at));
  return best + left + sharedLetters(one.slice(from + best), other.slice(at + best));
}

/** The likeliest of the known words, as difflib's get_close_matches() finds them. */
function closeMatches(word: string, known: readonly string[]): string[] {
  const alike = (each: string): number => (2 * sharedLetters(each, word)) / (each.length + word.length);
  return known
    .filter((each) => alike(each) >= 0.6)
    .sort((one, other) => alike(other) - alike(one) || (one < other ? 1 : -1))
    .slice(0, 3)
    .sort();
}

function unknownOption(flag: string, known: readonly string[]): ClickError {
  const near = closeMatches(flag, known);
  const hint =
    near.length === 0
      ? ''
      : near.length === 1
        ? ` Did you mean ${reprString(near[0] ?? '')}?`
        : ` (Possible options: ${near.map(reprString).join(', ')})`;
  return new ClickError(`No such option ${reprString(flag)}.${hint}`);
}

/** Reads a command line with the environment behind it. */
export function parseOptions(
  argv: readonly string[],
  rows: readonly SettingRow[],
  env: NodeJS.ProcessEnv,
): ParsedOptions {
  const byFlag = new Map<string, { row: SettingRow; stores: boolean }>();
  for (const row of rows) {
    for (const flag of row.flags) byFlag.set(flag, { row, stores: true });
    if (row.negativeFlag) byFlag.set(row.negativeFlag, { row, stores: false });
  }
  const known = [...byFlag.keys(), '--help', '--version'];
  const values = new Map<string, unknown>();
  const words: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? '';
    if (word === '--') {
      words.push(...argv.slice(index + 1));
      break;
    }
    if (!word.startsWith('-') || word === '-') {
      words.push(word);
      continue;
    }
    const equals = word.indexOf('=');
    const flag = equals < 0 ? word : word.slice(0, equals);
    if (flag === '--help' || flag === '--version')
      return { values, app: null, help: flag === '--help', version: flag === '--version' };
    const option = byFlag.get(flag);
    if (!option) throw unknownOption(flag, known);
    const { row, stores } = option;
    if (isFlag(row)) {
      if (equals >= 0) throw new ClickError(`Option ${reprString(flag)} does not take a value.`, false);
      values.set(row.name, stores);
      continue;
    }
    const text = equals < 0 ? argv[++index] : word.slice(equals + 1);
    if (text === undefined) throw new ClickError(`Option ${reprString(flag)} requires an argument.`, false);
    const typed = value(row, text);
    if (row.kind === 'strings')
      values.set(row.name, [...((values.get(row.name) as string[] | undefined) ?? []), typed]);
    else values.set(row.name, typed);
  }
  for (const row of rows) {
    const text = env[`UVICORN_${row.name.toUpperCase()}`];
    if (text === undefined || values.has(row.name)) continue;
    values.set(row.name, row.kind === 'strings' ? text.split(/\s+/) : value(row, text));
  }
  const [app = env['UVICORN_APP'] ?? null, ...extra] = words;
  if (extra.length > 0) {
    const noun = extra.length === 1 ? 'argument' : 'arguments';
    throw new ClickError(`Got unexpected extra ${noun} (${extra.join(' ')})`);
  }
  if (app === null) throw new ClickError("Missing argument 'APP'.");
  return { values, app, help: false, version: false };
}

/** The options part of --help. */
export function formatClickOptions(rows: readonly SettingRow[]): string {
  const entries = rows.map((row) => {
    const flags = [...row.flags, ...(row.negativeFlag ? [row.negativeFlag] : [])].join(' / ');
    const type = row.kind.startsWith('int') ? 'INTEGER' : row.kind === 'float' ? 'FLOAT' : 'TEXT';
    const head = isFlag(row) ? flags : `${flags} ${row.choices ? `[${row.choices.join('|')}]` : type}`;
    const shown =
      row.default === null || isFlag(row) || Array.isArray(row.default) || row.default === ''
        ? ''
        : `  [default: ${String(row.default)}]`;
    return [head, row.doc + shown] as const;
  });
  const lines = entries.flatMap(([head, doc]) =>
    head.length > 30 ? [`  ${head}`, `${' '.repeat(34)}${doc}`] : [`  ${head.padEnd(32)}${doc}`],
  );
  return lines.join('\n');
}
