// Stands beside `portico up` so that even kill -9 of it leaves no service behind. It is told of every process over its
// stdin (a line for each start and end), and when that pipe closes without a word of farewell, it ends what it knows of.
// A process of its own, in its own session, so that a Ctrl-C in the terminal does not reach it.
import { createInterface } from 'node:readline';
import { endLeftovers, type Leftover } from './leftovers.ts';
import { isRunning } from './process-identity.ts';
import { StateDirectory } from './state.ts';

/** A line on the watchdog's stdin, as JSON. */
export type WatchdogMessage = { started: Leftover } | { ended: number } | { farewell: true };

/** Runs until the pipe closes; `projectDirectory` is whose record to clear when `up` died. */
export async function runWatchdog(projectDirectory: string, input: NodeJS.ReadableStream): Promise<void> {
  const known = new Map<number, Leftover>();
  for await (const line of createInterface({ input })) {
    const message = JSON.parse(line) as WatchdogMessage;
    if ('started' in message) known.set(message.started.process.pid, message.started);
    else if ('ended' in message) known.delete(message.ended);
    else return;
  }
  await endLeftovers([...known.values()]);
  const directory = new StateDirectory(projectDirectory);
  const state = directory.read();
  // A new `up` may have taken over meanwhile; its record stays.
  if (state !== undefined && !isRunning(state.supervisor)) directory.clear();
}

if (import.meta.main) {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {});
  await runWatchdog(process.argv[2]!, process.stdin);
}
