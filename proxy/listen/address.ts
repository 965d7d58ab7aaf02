// Addresses as `listen` (and `server`, `proxy_pass`) write them, and one listening address with its servers.
import { isIPv4, isIPv6 } from 'node:net';
import type { VariableTable } from '../config/variables.ts';
import type { Server, ServerTable } from '../http/virtual-server.ts';
import type { ErrorLog } from '../log.ts';

export interface ParsedAddress {
  readonly family: 4 | 6 | 'unix' | 'name';
  /** IP address, socket path or host name. */
  readonly host: string;
  readonly port: number;
  readonly hasPort: boolean;
}

/** Reads `host:port`, `[::]:port`, `port`, `*:port`, `unix:path`; undefined when malformed. (ngx_parse_url) */
export function parseAddress(text: string, defaultPort: number, isListen = false): ParsedAddress | string {
  if (text.startsWith('unix:')) {
    const host = text.slice(5);
    if (host === '') return 'no path in the unix domain socket';
    if (host.length > 107) return 'too long path in the unix domain socket';
    return { family: 'unix', host, port: 0, hasPort: false };
  }
  if (text.includes('/')) return 'invalid host';
  if (text.startsWith('[')) {
    const match = /^\[([^\]]*)\](?::(\d+))?$/.exec(text);
    if (!match) return text.includes(']') ? 'invalid port' : 'invalid host';
    if (!isIPv6(match[1]!)) return 'invalid IPv6 address';
    const port = match[2] === undefined ? defaultPort : Number(match[2]);
    if (port > 65535 || (match[2] !== undefined && port < 1 && !isListen)) return 'invalid port';
    return { family: 6, host: match[1]!, port, hasPort: match[2] !== undefined };
  }
  const colon = text.lastIndexOf(':');
  let host = colon < 0 ? text : text.slice(0, colon);
  const portText = colon < 0 ? undefined : text.slice(colon + 1);
  let port = defaultPort;
  if (portText !== undefined) {
    if (!/^\d+$/.test(portText) || Number(portText) < 1 || Number(portText) > 65535) return 'invalid port';
    port = Number(portText);
  } else if (isListen && /^\d+$/.test(text)) {
    if (Number(text) < 1 || Number(text) > 65535) return 'invalid port';
    return { family: 4, host: '0.0.0.0', port: Number(text), hasPort: true };
  }
  if (host === '') return 'no host';
  if (host === '*') host = '0.0.0.0';
  return { family: isIPv4(host) ? 4 : 'name', host, port, hasPort: portText !== undefined };
}

/** One address to listen on: the socket's options and the servers behind it. */
export interface ListenAddress {
  /** As nginx prints it: `0.0.0.0:80`, `[::]:80`, `unix:/path`. The key of the address. */
  readonly text: string;
  readonly family: 4 | 6 | 'unix';
  readonly host: string;
  readonly port: number;
  isSsl: boolean;
  isHttp2: boolean;
  isProxyProtocol: boolean;
  isDefault: boolean;
  hasOptions: boolean;
  backlog: number;
  isIpv6Only: boolean;
  isReuseport: boolean;
  /** `so_keepalive`: undefined leaves the system's default. */
  soKeepalive: boolean | undefined;
  isWildcard: boolean;
  servers: Server[];
  defaultServer: Server;
  table: ServerTable | undefined;
  variables: VariableTable | undefined;
  /** The log of its requests where no level has one, in place of the process's (several configurations in a process). */
  log?: ErrorLog;
  readonly place: { file: string; line: number };
}
