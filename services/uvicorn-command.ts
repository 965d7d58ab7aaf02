/**
 * What Uvicorn's command line does: one serving process, or a supervisor with --workers or --reload. The program is uvicorn.ts. Exit
 * statuses are Uvicorn's.
 */

import { CostProfileError, checkCostSettings } from './cost/profile.ts';
import { traceback } from './python-repr.ts';
import { ClickError, formatClickOptions } from './settings/click.ts';
import { UVICORN_ROWS } from './settings/uvicorn-rows.ts';
import { readUvicornCommand, type UvicornCommand } from './settings/uvicorn-settings.ts';
import { Multiprocess } from './supervisor/multiprocess.ts';
import { STARTUP_FAILURE, serveProcess, uvicornLog } from './supervisor/serve-process.ts';
import { versionProfile } from './versions.ts';

const USAGE = 'Usage: uvicorn [OPTIONS] APP';
const EXAMPLES = `Examples:
  uvicorn services/apps/fastapi.ts:app                      at 127.0.0.1:8000
  uvicorn app.ts:app --host 0.0.0.0 --port 80 --workers 4   four processes
  uvicorn app.ts:app --uds app.sock --root-path /api        behind a proxy that strips /api
  uvicorn app.ts:create_app --factory --reload              restarts when a file changes`;

async function main(command: UvicornCommand): Promise<number> {
  if (command.kind === 'help') {
    console.log(`${USAGE}\n\nOptions:\n${formatClickOptions(UVICORN_ROWS)}\n  --version\n  --help\n\n${EXAMPLES}`);
    return 0;
  }
  if (command.kind === 'version') {
    console.log(
      `Running uvicorn ${versionProfile().uvicorn} with Node ${process.versions.node} on ${process.platform}`,
    );
    return 0;
  }
  const { app, settings, workers } = command;
  checkCostSettings(settings.python_cost);
  const log = uvicornLog(settings);
  for (const warning of command.warnings) log.warning(warning);
  if (settings.reload) {
    const { Reload } = await import('./supervisor/reload.ts');
    return new Reload(app, settings, log).run();
  }
  if (workers > 1) return new Multiprocess(app, settings, workers, log).run();
  process.title = `uvicorn: ${app}`;
  const end = await serveProcess(app, settings, { inherited: null });
  if (end.kind === 'failed') return STARTUP_FAILURE;
  // The signal that stopped the server is the reason of its end, and a parent shell wants to know; INT is no error, though.
  if (end.signal === 'SIGTERM') await dieOf('SIGTERM');
  return 0;
}

function dieOf(signal: NodeJS.Signals): Promise<never> {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  return new Promise(() => {});
}

/** Runs a command line to its end. Gives the exit status; what went wrong has been said on standard error. */
export async function runUvicorn(argv: readonly string[]): Promise<number> {
  try {
    return await main(readUvicornCommand(argv));
  } catch (error) {
    if (error instanceof CostProfileError) {
      console.error(`Error: ${error.message}`);
      return 2;
    }
    if (!(error instanceof ClickError)) {
      console.error(traceback(error));
      return 1;
    }
    const usage = error.hasUsage ? `${USAGE}\nTry 'uvicorn --help' for help.\n\n` : '';
    console.error(`${usage}Error: ${error.message}`);
    return 2;
  }
}
