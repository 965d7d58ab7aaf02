// The `portico` command: a table of subcommands. It starts processes and reads their record; it serves no request itself.
// --help anywhere prints help and gives 0; an unknown subcommand or a wrong command line gives 2; an expected failure (a
// broken compose file, say) is one line on stderr and gives 1.
import { readFileSync } from 'node:fs';
import { type Command, UsageError } from './commands/command.ts';
import { down } from './commands/down.ts';
import { ps } from './commands/ps.ts';
import { rooms } from './commands/rooms.ts';
import { up } from './commands/up.ts';
import { ComposeError } from './compose/error.ts';

const COMMANDS: readonly Command[] = [up, down, ps, ...rooms];

function overview(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  return `Usage: portico COMMAND [ARGUMENTS]

Runs the path that a deployed Python web application serves from: TLS, Nginx, Gunicorn and Uvicorn, the app.

${COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}   ${summary}`).join('\n')}

  -h, --help      this text; portico COMMAND --help tells more
  -V, --version   the version

Examples:
  portico up
  portico up --scale wsgi=3 --detach && portico ps && portico down
  portico nginx -t -p proxy -c conf/nginx.conf
`;
}

function version(): string {
  // Beside stack/ in the repository, one level further up from the published build.
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const found = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as {
        name: string;
        version: string;
      };
      if (found.name === 'portico') return found.version;
    } catch {
      // Not here.
    }
  }
  return 'unknown';
}

/** Runs the command line (without node and the file); gives the exit status. */
export async function runPortico(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === '-h' || name === '--help' || name === 'help') {
    const help = COMMANDS.find((one) => name === 'help' && one.name === rest[0])?.help;
    process[name === undefined ? 'stderr' : 'stdout'].write(help || overview());
    return name === undefined ? 2 : 0;
  }
  if (name === '-V' || name === '--version') {
    process.stdout.write(`portico ${version()}\n`);
    return 0;
  }
  const command = COMMANDS.find((one) => one.name === name);
  if (command === undefined) {
    process.stderr.write(`portico: no such command: ${name}\n\n${overview()}`);
    return 2;
  }
  if (command.help !== '' && (rest.includes('--help') || rest.includes('-h'))) {
    process.stdout.write(command.help);
    return 0;
  }
  try {
    return await command.run(rest);
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`portico ${name}: ${error.message}\nTry 'portico ${name} --help'.\n`);
      return 2;
    }
    if (!(error instanceof ComposeError) && !(error instanceof RangeError) && !(error as NodeJS.ErrnoException).syscall)
      throw error;
    process.stderr.write(`portico: ${(error as Error).message}\n`);
    return 1;
  }
}

if (import.meta.main) {
  // `portico ps | head` has read enough; a stack in the foreground takes the same as a wish to stop (stop-request.ts).
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  process.exitCode = await runPortico(process.argv.slice(2));
}
