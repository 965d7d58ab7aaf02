// The counts of connections over all worker processes, for stub_status and `$connections_*`: a file with a row for each
// worker, which it writes once a turn of the event loop when something has changed. When a worker ends the master gives
// back what it had open and adds what it had counted to row 0. Only configurations that show the counts pay for this.
import { closeSync, constants, existsSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { lifecycle } from '../lifecycle.ts';
import { workerPlace } from '../worker-place.ts';
import { ownZoneDirectory, zoneDirectory } from '../zone-directory.ts';
import { type ConnectionCounters, counters } from './client.ts';

const FILE = 'connections';
/** What only grows comes first. */
const NAMES = ['accepted', 'handled', 'requests', 'active', 'reading', 'writing', 'waiting'] as const;
const GROWING = 3;
const ROW_BYTES = NAMES.length * 8;
const MOST_ROWS = 1024;

let fd = -1;
let isPending = false;
const row = new Float64Array(NAMES.length);
const rowBytes = Buffer.from(row.buffer);

/** From now on this worker's counts go to the others, if there are any. */
export function shareCounters(): void {
  const directory = zoneDirectory();
  if (fd >= 0 || !directory || workerPlace().cycle === 0) return;
  fd = openSync(join(directory, FILE), constants.O_RDWR | constants.O_CREAT, 0o600);
  counters.onChange = () => {
    if (isPending) return;
    isPending = true;
    setImmediate(publish);
  };
  lifecycle.exit.add(publish);
  publish();
}

function publish(): void {
  isPending = false;
  for (let i = 0; i < NAMES.length; i++) row[i] = counters[NAMES[i]!];
  writeSync(fd, rowBytes, 0, ROW_BYTES, workerPlace().row * ROW_BYTES);
}

const all = new Float64Array(NAMES.length * MOST_ROWS);
const allBytes = Buffer.from(all.buffer);

/** The counts of all workers, or of this process where there is no other. */
export function totalCounters(): ConnectionCounters {
  if (fd < 0) return counters;
  if (isPending) publish();
  const count = readSync(fd, allBytes, 0, allBytes.length, 0) / 8;
  const sums = { accepted: 0, handled: 0, requests: 0, active: 0, reading: 0, writing: 0, waiting: 0 };
  for (let at = 0; at < count; at += NAMES.length) {
    for (let i = 0; i < NAMES.length; i++) sums[NAMES[i]!] += all[at + i]!;
  }
  return sums;
}

/** In the master. */
lifecycle.workerEnded.add((place) => {
  const directory = ownZoneDirectory();
  const path = directory && join(directory, FILE);
  if (!path || !existsSync(path)) return;
  const file = openSync(path, 'r+');
  try {
    const dead = readRow(file, place.row);
    const past = readRow(file, 0);
    for (let i = 0; i < GROWING; i++) past[i]! += dead[i]!;
    writeSync(file, Buffer.alloc(ROW_BYTES), 0, ROW_BYTES, place.row * ROW_BYTES);
    writeSync(file, Buffer.from(past.buffer), 0, ROW_BYTES, 0);
  } finally {
    closeSync(file);
  }
});

function readRow(file: number, number: number): Float64Array {
  const values = new Float64Array(NAMES.length);
  readSync(file, Buffer.from(values.buffer), 0, ROW_BYTES, number * ROW_BYTES);
  return values;
}
