/**
 * Names to addresses for the addresses that a server binds. A local run of a topology names its hosts in the file PORTICO_HOSTS, in the
 * format of /etc/hosts, and gives each replica its own address in PORTICO_ADDRESS, which stands in for "all addresses".
 */
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

const WILDCARDS = new Set(['', '0.0.0.0', '::', '[::]']);

/** The address to bind for `host`: itself, this replica's own for a wildcard, or what the name resolves to. Throws when it does not. */
export async function resolveBindHost(host: string, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  if (WILDCARDS.has(host)) return env['PORTICO_ADDRESS'] ?? (host === '' ? '0.0.0.0' : host);
  if (isIP(host)) return host;
  return hostsFileAddress(host, env['PORTICO_HOSTS']) ?? (await lookup(host)).address;
}

function hostsFileAddress(name: string, file: string | undefined): string | null {
  if (!file) return null;
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (address && names.includes(name)) return address;
  }
  return null;
}
