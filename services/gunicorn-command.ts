/**
 * What Gunicorn's command line does: reads the settings, checks or prints them if asked, and runs the arbiter in this process. The program
 * is gunicorn.ts. Exit statuses are Gunicorn's.
 */
import { spawn } from 'node:child_process';
import { importGunicornApp } from './app-import.ts';
import { Arbiter, type ArbiterOptions } from './arbiter/arbiter.ts';
import { checkCostSettings } from './cost/profile.ts';
import { parseStatsdAddress } from './log/statsd.ts';
import { traceback } from './python-repr.ts';
import { formatOptions } from './settings/argparse.ts';
import { GUNICORN_ROWS } from './settings/gunicorn-rows.ts';
import {
  ConfigError,
  type GunicornCommand,
  readGunicornCommand,
  SettingError,
  showSetting,
  UsageError,
} from './settings/gunicorn-settings.ts';
import { checkGunicornTls } from './settings/gunicorn-tls-rows.ts';
import { PythonLiteralError } from './settings/python-literals.ts';
import { printSettings } from './settings/setting.ts';
import { versionProfile } from './versions.ts';
import { ignoredByClass, workerClass } from './workers/classes.ts';

const USAGE = 'usage: gunicorn [OPTIONS] [APP_MODULE]';
const EXAMPLES = `examples:
  gunicorn services/apps/flask.ts:app                     one sync worker at 127.0.0.1:8000
  gunicorn -w 4 -b 0.0.0.0:8000 app.ts:app                four sync workers, all addresses
  gunicorn -w 2 --threads 8 -b unix:app.sock app.ts:app   two workers of eight threads, under the GIL
  gunicorn -k uvicorn.workers.UvicornWorker app.ts:app    an ASGI app
  gunicorn --certfile a.crt --keyfile a.key app.ts:app    over TLS
  gunicorn -c gunicorn.conf.py --check-config app.ts:app  checks settings and app, then exits`;

const DETACHED = 'PORTICO_DETACHED';

function help(): string {
  const standard =
    "  -h, --help            show this help message and exit\n  -v, --version         show program's version number and exit";
  return `${USAGE}\n\noptions:\n${standard}\n${formatOptions(GUNICORN_ROWS, showSetting)}\n\n${EXAMPLES}`;
}

// What is said in the master, at once, and not by each worker or at each request.
function checkValues(settings: GunicornCommand['settings']): void {
  checkGunicornTls(settings);
  if (settings.statsd_host !== null) parseStatsdAddress(settings.statsd_host);
}

function arbiterOptions(command: GunicornCommand): Omit<ArbiterOptions, 'reload'> {
  const { kind, shown } = workerClass(command.settings);
  checkValues(command.settings);
  return {
    settings: command.settings,
    app: command.app ?? '',
    workerClass: kind,
    workerClassName: shown,
    configFile: command.configFile,
    warnings: [...command.warnings, ...ignoredByClass(command.settings, kind)],
  };
}

async function check(command: GunicornCommand): Promise<number> {
  workerClass(command.settings);
  checkValues(command.settings);
  if (command.settings.print_config) console.log(printSettings({ ...command.settings }, showPlain));
  try {
    await importGunicornApp(command.app ?? '', importDirectories(command));
    return 0;
  } catch (error) {
    console.error(`\nError while loading the application:\n\n${traceback(error)}`);
    return 1;
  }
}

// print_config shows strings bare, and what is inside lists quoted, as Python's str() does.
const showPlain = (value: unknown): string => (typeof value === 'string' ? value : showSetting(value));

function importDirectories(command: GunicornCommand): string[] {
  return [process.cwd(), ...(command.settings.pythonpath?.split(',') ?? [])];
}

/** The command line as a function: gives the exit status. */
async function main(argv: readonly string[]): Promise<number> {
  const command = await readGunicornCommand(argv);
  if (command.kind === 'help') {
    console.log(help());
    return 0;
  }
  if (command.kind === 'version') {
    console.log(`gunicorn (version ${versionProfile().gunicorn})`);
    return 0;
  }
  const { settings } = command;
  checkCostSettings(settings.python_cost);
  if (settings.check_config || settings.print_config) return check(command);
  const options = arbiterOptions(command);
  if (settings.daemon && !(DETACHED in process.env)) return detach(settings.enable_stdio_inheritance);
  delete process.env[DETACHED];
  if (settings.preload_app) await importGunicornApp(command.app ?? '', importDirectories(command));
  // HUP reads everything again, from the directory in which the command was typed.
  const directory = process.cwd();
  const reload = async (): Promise<Omit<ArbiterOptions, 'reload'>> => {
    const again = await readGunicornCommand(argv);
    process.chdir(directory);
    return arbiterOptions(again);
  };
  return new Arbiter({ ...options, reload }).run();
}

function detach(keepsStreams: boolean): number {
  spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    stdio: keepsStreams ? ['ignore', 'inherit', 'inherit'] : 'ignore',
    env: { ...process.env, [DETACHED]: '1' },
  }).unref();
  return 0;
}

function report(error: unknown): number {
  if (error instanceof UsageError) {
    console.error(`${USAGE}\ngunicorn: error: ${error.message}`);
    return 2;
  }
  if (error instanceof ConfigError || error instanceof SettingError || error instanceof PythonLiteralError) {
    console.error(`\nError: ${error.message}`);
    return 1;
  }
  console.error(`\nError: ${error instanceof Error ? error.message : String(error)}\n`);
  return 1;
}

/** Runs a command line to its end. Gives the exit status; what went wrong has been said on standard error. */
export async function runGunicorn(argv: readonly string[]): Promise<number> {
  try {
    return await main(argv);
  } catch (error) {
    return report(error);
  }
}
