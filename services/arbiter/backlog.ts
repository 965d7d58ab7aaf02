/**
 * How many connections wait in the kernel's queues of the master's listeners, for the metric `gunicorn.backlog`. Gunicorn asks TCP_INFO;
 * the same count stands in /proc/net/tcp, as the receive queue of a socket that listens.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import type { Listener } from './listeners.ts';

/** The sum over all listeners; a unix socket counts as -1, as in Gunicorn, and -1 is also the answer where there is no /proc. */
export function backlogOf(listeners: readonly Listener[]): number {
  let lines: string[];
  try {
    lines = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) => readFileSync(file, 'latin1').split('\n'));
  } catch {
    return -1;
  }
  let sum = 0;
  for (const { fd, port } of listeners) sum += port === null ? -1 : queueOf(fd, lines);
  return sum;
}

// sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
function queueOf(fd: number, lines: readonly string[]): number {
  const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
  const fields = lines.map((line) => line.trim().split(/\s+/)).find((each) => each[9] === inode);
  return Number.parseInt(fields?.[4]?.split(':')[1] ?? '0', 16);
}
