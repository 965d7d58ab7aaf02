// Finds out who holds a port that a service could not bind, so that "Address already in use" comes with a pid and a
// command. Reads /proc (Linux); elsewhere, or for another user's process, it says how to look. Never signals anything.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { commandLineOf } from './process-identity.ts';

const IN_USE = [
  // nginx: bind() to 0.0.0.0:8443 failed (98: Address already in use)
  /bind\(\) to \S*?:(\d+) failed \((?:98|48): /,
  // Gunicorn: Connection in use: ('127.0.0.1', 8000)
  /Connection in use: \('[^']*', (\d+)/,
  // Uvicorn: [Errno 98] error while attempting to bind on address ('127.0.0.1', 8001): address already in use
  /attempting to bind on address \('[^']*', (\d+)/,
  // Node: listen EADDRINUSE: address already in use 127.0.0.1:8000
  /EADDRINUSE[^\n]*:(\d+)/,
];

/** The port that some line complains of, or undefined when none does. */
export function portInUse(lines: readonly string[]): number | undefined {
  for (const line of lines) {
    for (const pattern of IN_USE) {
      const port = pattern.exec(line)?.[1];
      if (port !== undefined) return Number(port);
    }
  }
  return undefined;
}

/** One line on who listens on the port and what to do about it. */
export function describeHolder(port: number): string {
  const pids = holdersOf(port);
  if (pids.length === 0) {
    return `port ${port} is in use; find its holder with: sudo ss -ltnp 'sport = :${port}' (Linux) or lsof -iTCP:${port} (macOS)`;
  }
  const pid = Math.min(...pids);
  return `port ${port} is held by process ${pid} (${commandLineOf(pid) || 'unknown command'}): stop it, for instance with kill ${pid}`;
}

/** The pids that listen on a TCP port, as far as this user may see. */
export function holdersOf(port: number): number[] {
  const sockets = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listeningInodes(table, port)));
  if (sockets.size === 0) return [];
  const pids: number[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const holds = readdirSync(`/proc/${pid}/fd`).some((fd) => {
        const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
        return inode !== undefined && sockets.has(inode);
      });
      if (holds) pids.push(Number(pid));
    } catch {
      // It ended meanwhile, or belongs to another user.
    }
  }
  return pids;
}

function listeningInodes(table: string, port: number): string[] {
  let text: string;
  try {
    text = readFileSync(table, 'latin1');
  } catch {
    return [];
  }
  const LISTEN = '0A';
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return text.split('\n').flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    return fields[3] === LISTEN && fields[1]!.endsWith(suffix) ? [fields[9]!] : [];
  });
}
