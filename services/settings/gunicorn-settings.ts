/**
 * The settings of one start of Gunicorn, resolved in its order: defaults (some from the environment), config file,
 * GUNICORN_CMD_ARGS, command line. Errors are those of Gunicorn: argparse's with status 2, `Error: ...` with status 1.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { reprString, reprValue } from '../python-repr.ts';
import { type ParsedArguments, parseArguments, UsageError } from './argparse.ts';
import { GUNICORN_ROWS, type GunicornSettings } from './gunicorn-rows.ts';
import { readPythonLiterals } from './python-literals.ts';
import { coerce, SettingError, type SettingRow } from './setting.ts';

export type { GunicornSettings } from './gunicorn-rows.ts';

/** What a command line asks for. */
export interface GunicornCommand {
  readonly kind: 'run' | 'help' | 'version';
  readonly settings: GunicornSettings;
  /** The application as typed, MODULE:NAME. */
  readonly app: string | null;
  /** Settings that were given but are not honoured, as `name: reason`. */
  readonly warnings: readonly string[];
  /** The config file that was read, if any: a worker reads its hooks from it again. */
  readonly configFile: string | null;
}

/** A start that Gunicorn would refuse with `Error: ...` and this status. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const ROWS: readonly SettingRow[] = GUNICORN_ROWS;
const ROW = new Map(ROWS.map((row) => [row.name, row]));

function defaults(env: NodeJS.ProcessEnv): Map<string, unknown> {
  const values = new Map<string, unknown>(ROWS.map((row) => [row.name, row.default]));
  values.set('chdir', process.cwd());
  if (env['WEB_CONCURRENCY']) values.set('workers', env['WEB_CONCURRENCY']);
  if (env['PORT']) values.set('bind', [`0.0.0.0:${env['PORT']}`]);
  if (env['FORWARDED_ALLOW_IPS']) values.set('forwarded_allow_ips', env['FORWARDED_ALLOW_IPS']);
  return values;
}

async function readConfigFile(location: string): Promise<Map<string, unknown>> {
  const file = path.resolve(location.replace(/^file:/, ''));
  if (location.startsWith('python:')) {
    throw new ConfigError(`${reprString(location)}: a Python module cannot be imported; give a file`);
  }
  if (!existsSync(file)) throw new ConfigError(`${reprString(location)} doesn't exist`);
  const known = new Map<string, unknown>();
  const found = /\.[cm]?[jt]s$/.test(file)
    ? Object.entries((await import(`${pathToFileURL(file).href}?${Date.now()}`)) as Record<string, unknown>)
    : readPythonLiterals(file, (name) => ROW.has(name));
  for (const [name, value] of found) {
    // Gunicorn ignores the names that are no settings: a config file is a program, and has names of its own.
    if (!ROW.has(name)) continue;
    try {
      known.set(name, coerce(ROW.get(name) as SettingRow, value));
    } catch (error) {
      if (!(error instanceof SettingError)) throw error;
      throw new ConfigError(`Invalid value for ${name}: ${String(value)}\n\n${error.message}`);
    }
  }
  return known;
}

/** Splits GUNICORN_CMD_ARGS as a POSIX shell would: quotes and backslashes. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  for (const match of text.matchAll(/(?:[^\s'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+/g)) {
    const word = match[0].replace(/\\(.)|'([^']*)'|"((?:[^"\\]|\\.)*)"/g, (_, plain, single, double) =>
      plain !== undefined ? plain : single !== undefined ? single : (double as string).replace(/\\(["\\$`])/g, '$1'),
    );
    words.push(word);
  }
  return words;
}

function parse(argv: readonly string[]): ParsedArguments {
  return parseArguments(argv, { rows: ROWS, versionFlags: ['-v', '--version'] });
}

function notHonoured(values: ReadonlyMap<string, unknown>): string[] {
  const warnings: string[] = [];
  for (const row of ROWS) {
    const same = JSON.stringify(values.get(row.name)) === JSON.stringify(coerce(row, row.default));
    if (same) continue;
    if (row.refused) throw new ConfigError(`${row.name} is not supported: ${row.refused}.`);
    if (row.unhonoured) warnings.push(`${row.name} has no effect: ${row.unhonoured}.`);
  }
  return warnings;
}

function finish(values: Map<string, unknown>): GunicornSettings {
  const settings: Record<string, unknown> = {};
  for (const row of ROWS) settings[row.name] = coerce(row, values.get(row.name));
  return Object.freeze(settings) as unknown as GunicornSettings;
}

/**
 * Reads a command line and all that it refers to. Throws UsageError (status 2), ConfigError or SettingError (status 1).
 * Changes the working directory when `chdir` says so, as Gunicorn does.
 */
export async function readGunicornCommand(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<GunicornCommand> {
  const typed = parse(argv);
  const values = defaults(env);
  const none = { settings: finish(values), app: null, warnings: [], configFile: null };
  if (typed.help) return { kind: 'help', ...none };
  if (typed.version) return { kind: 'version', ...none };
  const fromEnv = parse(splitWords(env['GUNICORN_CMD_ARGS'] ?? ''));

  const directory = (typed.values.get('chdir') ?? fromEnv.values.get('chdir')) as string | undefined;
  if (directory !== undefined) changeDirectory(directory);
  const named = (typed.values.get('config') ?? fromEnv.values.get('config')) as string | undefined;
  const found = ['./gunicorn.conf.py', './gunicorn.conf.ts', './gunicorn.conf.js'].find((file) => existsSync(file));
  const configFile = named ?? found ?? null;
  if (configFile !== null) for (const [name, value] of await readConfigFile(configFile)) values.set(name, value);
  for (const [name, value] of fromEnv.values) values.set(name, value);
  for (const [name, value] of typed.values) values.set(name, value);

  const settings = finish(values);
  if (directory === undefined && settings.chdir !== process.cwd()) changeDirectory(settings.chdir);
  const app = typed.positionals[0] ?? settings.wsgi_app;
  if (app === null) throw new ConfigError('No application module specified.');
  const resolved = { ...settings, chdir: process.cwd(), default_proc_name: app };
  const warnings = notHonoured(new Map(Object.entries({ ...resolved, default_proc_name: 'gunicorn' })));
  return {
    kind: 'run',
    settings: Object.freeze(resolved),
    app,
    warnings,
    configFile: configFile === null ? null : path.resolve(configFile),
  };
}

function changeDirectory(directory: string): void {
  try {
    process.chdir(directory);
  } catch {
    throw new ConfigError(`can't chdir to ${reprString(directory)}`);
  }
}

/** The server hooks of a config file, read again in a worker; functions do not travel between processes. */
export async function readHooks(configFile: string | null): Promise<Partial<GunicornSettings>> {
  if (configFile === null || !/\.[cm]?[jt]s$/.test(configFile)) return {};
  const hooks = [...(await readConfigFile(configFile))].filter(([name]) => ROW.get(name)?.kind === 'hook');
  return Object.fromEntries(hooks) as Partial<GunicornSettings>;
}

/** A value as --print-config shows it. */
export const showSetting = reprValue;

export { SettingError, UsageError };
