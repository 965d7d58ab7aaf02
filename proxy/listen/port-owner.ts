// Which process holds a port: told beside "Address already in use", because that is the next thing to find out.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** `pid 123 (nginx)` of the process that listens on a TCP port, as far as /proc lets us see; else undefined. */
export function portOwner(port: number): string | undefined {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = new Set<string>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    try {
      for (const line of readFileSync(file, 'latin1').split('\n').slice(1)) {
        const fields = line.trim().split(/\s+/);
        // State 0A is LISTEN.
        if (fields[1]?.endsWith(`:${wanted}`) && fields[3] === '0A') inodes.add(`socket:[${fields[9]}]`);
      }
    } catch {
      // Not Linux.
    }
  }
  if (inodes.size === 0) return undefined;
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        if (inodes.has(readlinkSync(`/proc/${pid}/fd/${fd}`))) {
          return `pid ${pid} (${readFileSync(`/proc/${pid}/comm`, 'latin1').trim()})`;
        }
      }
    } catch {
      // Another user's process, or one that has just ended.
    }
  }
  return undefined;
}
