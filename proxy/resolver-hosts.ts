// Host names to addresses when a configuration is read: the PORTICO_HOSTS file first (the names of services that
// `portico up` runs as local processes), then the system's resolver.
import { lookup } from 'node:dns/promises';
import { readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';

export interface HostAddress {
  readonly address: string;
  readonly family: number;
}

let cached: { path: string; mtimeMs: number; checkedMs: number; hosts: Map<string, HostAddress[]> } | undefined;

/** Addresses of `host` in the PORTICO_HOSTS file; undefined when there is no such file or name. */
export function fromHostsFile(host: string): HostAddress[] | undefined {
  const path = process.env['PORTICO_HOSTS'];
  if (!path) return undefined;
  const now = Date.now();
  if (!cached || cached.path !== path || now - cached.checkedMs > 1000) {
    try {
      const { mtimeMs } = statSync(path);
      if (cached?.path === path && cached.mtimeMs === mtimeMs) cached.checkedMs = now;
      else cached = { path, mtimeMs, checkedMs: now, hosts: parseHosts(readFileSync(path, 'utf8')) };
    } catch {
      return undefined;
    }
  }
  return cached.hosts.get(host.toLowerCase());
}

/** Reads /etc/hosts format: one address and its names a line, `#` starts a comment; names may repeat. */
export function parseHosts(text: string): Map<string, HostAddress[]> {
  const hosts = new Map<string, HostAddress[]>();
  for (const line of text.split('\n')) {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    const family = address ? isIP(address) : 0;
    if (!address || family === 0) continue;
    for (const name of names) {
      const key = name.toLowerCase();
      hosts.set(key, [...(hosts.get(key) ?? []), { address, family }]);
    }
  }
  return hosts;
}

/** All addresses of `host`, IPv4 first; empty when it cannot be found. */
export async function lookupHost(host: string): Promise<readonly HostAddress[]> {
  const known = fromHostsFile(host);
  if (known) return known;
  try {
    return await lookup(host, { all: true, order: 'ipv4first' });
  } catch {
    return [];
  }
}
