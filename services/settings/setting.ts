/**
 * A setting as data: one row gives the flag, the environment, the type, the default and the one-line doc. The command-line parsers,
 * --help, --print-config and the reference docs all read the rows; nothing about a setting is written twice.
 * The kinds mirror the validators of Gunicorn's config.py, their error texts included.
 */
import { reprString } from '../python-repr.ts';

/** What a row's kind gives a handler: typed, frozen values; times stay in the original's seconds until `*Ms` fields are derived. */
export interface KindValues {
  int: number;
  'int?': number | null;
  float: number;
  bool: boolean;
  'bool?': boolean | null;
  string: string;
  'string?': string | null;
  strings: readonly string[];
  list: readonly string[];
  map: Readonly<Record<string, string>>;
  hook: ((...args: never[]) => unknown) | null;
}

/** One row of a settings table. */
export interface SettingRow {
  readonly section: string;
  readonly name: string;
  /** Flags as typed, the long ones and the short; none for settings of the config file only. */
  readonly flags: readonly string[];
  readonly kind: keyof KindValues;
  readonly default: unknown;
  readonly metavar?: string;
  readonly doc: string;
  /** For a flag without argument: the value that it stores (true unless said otherwise). */
  readonly stores?: boolean;
  /** For a flag without argument: the flag that stores false. */
  readonly negativeFlag?: string;
  readonly choices?: readonly string[];
  /** Why the setting cannot be honoured here; setting it to another value than the default then gives a named warning. */
  readonly unhonoured?: string;
  /** Like unhonoured, but serving without it would be wrong, so it is an error. */
  readonly refused?: string;
}

/** The typed settings that a table of rows describes. */
export type SettingsOf<Rows extends readonly SettingRow[]> = {
  readonly [Row in Rows[number] as Row['name']]: KindValues[Row['kind']];
};

/** A value that does not fit its setting; the message is the original's. */
export class SettingError extends Error {
  override readonly name = 'SettingError';
}

/** Python's int(text): decimal digits, underscores between them, surrounding space. NaN when it would raise. */
export function parseInteger(text: string): number {
  return /^\s*[+-]?\d+(_\d+)*\s*$/.test(text) ? Number(text.replaceAll('_', '').trim()) : Number.NaN;
}

function toInteger(value: unknown): number {
  if (typeof value === 'number') return Math.trunc(value);
  if (typeof value === 'boolean') return value ? 1 : 0;
  const text = String(value).trim();
  const octal = /^0o?[0-7]+$/i.test(text) ? Number.parseInt(text.replace(/^0o?/i, ''), 8) : Number.NaN;
  const parsed = Number.isNaN(octal) || text === '0' ? parseInteger(text) : octal;
  const number = Number.isNaN(parsed) && /^0x[0-9a-f]+$/i.test(text) ? Number(text) : parsed;
  if (Number.isNaN(number)) throw new SettingError(`invalid literal for int() with base 0: ${reprString(text)}`);
  return number;
}

function toText(value: unknown): string {
  if (typeof value !== 'string') throw new SettingError(`Not a string: ${String(value)}`);
  return value.trim();
}

function toBoolean(value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  if (typeof value !== 'string') throw new SettingError(`Invalid type for casting: ${String(value)}`);
  const text = value.trim().toLowerCase();
  if (text === 'true') return true;
  if (text === 'false') return false;
  throw new SettingError(`Invalid boolean: ${value}`);
}

function commaList(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.map(toText);
  const parts = toText(value).split(',');
  return parts.filter((part) => part !== '').map((part) => part.trim());
}

const COERCE: { [Kind in keyof KindValues]: (value: unknown) => unknown } = {
  int(value) {
    const number = toInteger(value);
    if (number < 0) throw new SettingError(`Value must be positive: ${number}`);
    return number;
  },
  'int?': (value) => (value === null ? null : COERCE.int(value)),
  float(value) {
    const number = Number(value);
    if (Number.isNaN(number)) throw new SettingError(`could not convert string to float: ${reprString(String(value))}`);
    return number;
  },
  bool: toBoolean,
  'bool?': (value) => (value === null ? null : toBoolean(value)),
  string: toText,
  'string?': (value) => (value === null ? null : toText(value)),
  strings: (value) => (Array.isArray(value) ? value.map(toText) : value ? [toText(value)] : []),
  list: commaList,
  map(value) {
    if (typeof value !== 'object' || value === null)
      throw new SettingError(`Value is not a dictionary: ${String(value)} `);
    return { ...value };
  },
  hook(value) {
    if (value === null || typeof value === 'function') return value;
    throw new SettingError(`Value is not callable: ${String(value)}`);
  },
};

/** A raw value (from a flag, the environment or a config file) as its row's kind; throws SettingError in the original's words. */
export function coerce(row: SettingRow, value: unknown): unknown {
  const typed = COERCE[row.kind](value);
  if (row.choices && typeof typed === 'string' && !row.choices.includes(typed)) {
    throw new SettingError(`Invalid ${row.name}: ${typed} (choose from ${row.choices.join(', ')})`);
  }
  return typed;
}

/** The rows as name = value lines, sorted by name, as --print-config shows them. */
export function printSettings(settings: Readonly<Record<string, unknown>>, show: (value: unknown) => string): string {
  const names = Object.keys(settings).sort();
  const width = Math.max(...names.map((name) => name.length));
  return names.map((name) => `${name.padEnd(width)} = ${show(settings[name])}`).join('\n');
}
