// `portico ps`: the replicas on record, one a line, in Docker's words. A process that has vanished without its `up`
// knowing (because that is gone as well) is shown as such.
import { isRunning } from '../local/process-identity.ts';
import type { ReplicaRecord } from '../local/state.ts';
import type { Command } from './command.ts';
import { stateDirectoryOf } from './down.ts';

export const ps: Command = {
  name: 'ps',
  summary: 'show the processes of the stack, their health and addresses',
  help: `Usage: portico ps [--file FILE]

Lists the replicas of this project's stack: name, status and health, time since start, pid, address and ports.
Exit status 0 when the stack is up, 1 when nothing is.

  -f, --file FILE   the compose file that it was started with (default: the one in this directory)
  -h, --help        this text

Examples:
  portico ps
  watch -n 1 npx portico ps
`,
  run: (argv) => {
    const state = stateDirectoryOf(argv).read();
    if (state === undefined) {
      process.stdout.write('portico: nothing is up\n');
      return 1;
    }
    const rows = [['NAME', 'STATUS', 'UP', 'PID', 'ADDRESS'], ...state.replicas.map(rowOf)];
    const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
    for (const row of rows) {
      process.stdout.write(
        `${row
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join('   ')
          .trimEnd()}\n`,
      );
    }
    if (!isRunning(state.supervisor)) {
      process.stdout.write('\nThe portico up that started them is gone; portico down cleans up.\n');
    }
    return 0;
  },
};

function rowOf(record: ReplicaRecord): string[] {
  const isAlive = record.process !== undefined && isRunning(record.process);
  const status =
    record.status === 'running' && !isAlive
      ? 'vanished'
      : record.status === 'exited' && record.exit !== undefined
        ? `exited (${record.exit})`
        : record.health === 'none'
          ? record.status
          : `${record.status} (${record.health})`;
  const ports = record.ports.length === 0 ? '' : `:${record.ports.join(',')}`;
  return [
    record.name,
    status,
    isAlive ? duration(Date.now() - record.startedAt!) : '-',
    isAlive ? String(record.process!.pid) : '-',
    `${record.address}${ports}`,
  ];
}

function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${seconds % 60}s`;
  return `${Math.floor(minutes / 60)}h${minutes % 60}m`;
}
