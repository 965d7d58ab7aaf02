// `portico down`: stops the stack that `portico up` has on record, detached or not, by asking its `up` to stop and waiting
// for it. Where that `up` is gone (kill -9, a crash), it ends the recorded processes itself, checking that each pid is
// still the process that was started.
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { findComposeFile } from '../compose/project.ts';
import { endLeftovers } from '../local/leftovers.ts';
import { isRunning, signal } from '../local/process-identity.ts';
import { leftoversOf, StateDirectory } from '../local/state.ts';
import { type Command, UsageError } from './command.ts';

const POLL_MS = 50;
const EXTRA_GRACE_MS = 5000;

export const down: Command = {
  name: 'down',
  summary: 'stop what portico up has started',
  help: `Usage: portico down [--file FILE]

Stops the stack of this project, in reverse order, each service with its stop_signal and stop_grace_period.
Exit status 0 also when nothing is up.

  -f, --file FILE   the compose file that it was started with (default: the one in this directory)
  -h, --help        this text

Examples:
  portico up --detach && portico down
  portico down --file shop/docker-compose.yml
`,
  run: (argv) => runDown(argv),
};

async function runDown(argv: readonly string[]): Promise<number> {
  const directory = stateDirectoryOf(argv);
  const state = directory.read();
  if (state === undefined) {
    directory.clear();
    process.stdout.write('portico: nothing is up\n');
    return 0;
  }
  if (isRunning(state.supervisor)) {
    signal(state.supervisor, 'SIGTERM');
    const graceMs = state.replicas.reduce((sum, { stopGraceMs }) => sum + stopGraceMs, EXTRA_GRACE_MS);
    const deadline = Date.now() + graceMs;
    while (isRunning(state.supervisor) && Date.now() < deadline) await delay(POLL_MS);
    if (isRunning(state.supervisor)) signal(state.supervisor, 'SIGKILL');
  }
  // Read again: what the supervisor started or ended meanwhile.
  await endLeftovers(leftoversOf(directory.read() ?? { ...state, replicas: [] }));
  rmSync(directory.at('up.log'), { force: true });
  directory.clear();
  process.stdout.write(`${state.project} is down\n`);
  return 0;
}

/** The state directory that --file, or the current directory, points to. Throws UsageError and ComposeError. */
export function stateDirectoryOf(argv: readonly string[]): StateDirectory {
  let file: string | undefined;
  try {
    file = parseArgs({ args: [...argv], options: { file: { type: 'string', short: 'f' } } }).values.file;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  return new StateDirectory(dirname(findComposeFile(file, process.cwd())));
}
