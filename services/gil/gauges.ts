/**
 * The gauges of a worker's GIL as a file of Prometheus text, one a process, in the directory that PORTICO_METRICS_DIR names; the format and
 * place that node_exporter's textfile collector reads. A file and not a port, since a worker whose threads wait for the lock is just the one
 * that could not answer. Written anew each second; files of processes that are gone are removed by the next that starts.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { runtime } from '../runtime.ts';
import { type GilState, gilGauges } from './gil.ts';

const INTERVAL_MS = 1000;

/** Names, types and meanings; times are in seconds, as Prometheus has them. */
const METRICS = [
  ['portico_gil_wait_seconds_total', 'counter', 'Time that threads have waited for the GIL.'],
  ['portico_gil_hold_seconds_total', 'counter', 'Time that threads have held the GIL.'],
  ['portico_gil_acquired_total', 'counter', 'How often the GIL was taken.'],
  ['portico_gil_switches_total', 'counter', 'How often the GIL went from one thread to another.'],
  ['portico_gil_forced_switches_total', 'counter', 'How often it did because the other had waited a switch interval.'],
  ['portico_gil_waiting_threads', 'gauge', 'Threads that wait for the GIL.'],
] as const;

/** The gauges of one lock as Prometheus text. */
export function gilMetrics(state: GilState, labels: Readonly<Record<string, string | number>>): string {
  const { waitMs, holdMs, acquired, switches, forced, waiting } = gilGauges(state);
  const values = [waitMs / 1000, holdMs / 1000, acquired, switches, forced, waiting];
  const shown = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(String(value))}`);
  return METRICS.map(
    ([name, type, help], index) =>
      `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name}{${shown.join(',')}} ${values[index]}\n`,
  ).join('');
}

/** Publishes the gauges of this process's lock, if a directory is named. Failing to write is not worth a request, so it stops silently. */
export function publishGauges(state: GilState, directory = process.env['PORTICO_METRICS_DIR']): void {
  if (!directory) return;
  const file = path.join(directory, `portico-${process.pid}.prom`);
  const write = (): void => {
    try {
      writeFileSync(`${file}.new`, gilMetrics(state, { pid: process.pid, worker_class: runtime().worker_class }));
      renameSync(`${file}.new`, file);
    } catch {
      clearInterval(timer);
    }
  };
  const timer = setInterval(write, INTERVAL_MS).unref();
  try {
    mkdirSync(directory, { recursive: true });
    for (const name of readdirSync(directory)) {
      const pid = Number(/^portico-(\d+)\.prom(?:\.new)?$/.exec(name)?.[1] ?? process.pid);
      if (!isRunning(pid)) rmSync(path.join(directory, name), { force: true });
    }
  } catch {
    clearInterval(timer);
    return;
  }
  process.on('exit', () => rmSync(file, { force: true }));
  write();
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
