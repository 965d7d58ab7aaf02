// The PROXY protocol, versions 1 and 2: a header in front of everything else that says whose connection a load
// balancer passes on. Mirrors ngx_proxy_protocol_read; specification: haproxy.org, proxy-protocol.txt.
import type { Socket } from 'node:net';
import type { ClientConnection } from '../http/client.ts';
import { coreModule } from '../modules/core-rows.ts';
import { Deadline } from '../timer.ts';
import { logConnection } from './connection-log.ts';

export interface ProxyHeader {
  /** Bytes of the header. */
  readonly length: number;
  /** Undefined for `UNKNOWN` and LOCAL: the connection is the balancer's own. */
  readonly addresses: { address: string; port: number; serverAddress: string; serverPort: number } | undefined;
}

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const MAX_V1_BYTES = 107;

/** Parses a header at the start of `buf`; 'more' when it is not whole, 'bad' when it is none. */
export function parseProxyHeader(buf: Buffer): ProxyHeader | 'more' | 'bad' {
  const known = Math.min(buf.length, SIGNATURE.length);
  if (known > 0 && buf.compare(SIGNATURE, 0, known, 0, known) === 0) {
    return buf.length < 16 ? 'more' : parseV2(buf);
  }
  const start = buf.toString('latin1', 0, Math.min(buf.length, MAX_V1_BYTES + 1));
  if (!start.startsWith('PROXY ') && !'PROXY '.startsWith(start)) return 'bad';
  const end = start.indexOf('\r\n');
  if (end < 0) return start.length > MAX_V1_BYTES ? 'bad' : 'more';
  const length = end + 2;
  const line = start.slice(6, end);
  if (line.startsWith('UNKNOWN')) return { length, addresses: undefined };
  const match = /^TCP[46] ([\da-fA-F:.]+) ([\da-fA-F:.]+) (\d{1,5}) (\d{1,5})$/.exec(line);
  if (!match || Number(match[3]) > 65535 || Number(match[4]) > 65535) return 'bad';
  return {
    length,
    addresses: {
      address: match[1]!,
      serverAddress: match[2]!,
      port: Number(match[3]),
      serverPort: Number(match[4]),
    },
  };
}

function parseV2(buf: Buffer): ProxyHeader | 'more' | 'bad' {
  const version = buf[12]! >> 4;
  const command = buf[12]! & 15;
  if (version !== 2) return 'bad';
  const length = 16 + buf.readUInt16BE(14);
  if (buf.length < length) return 'more';
  if (command === 0) return { length, addresses: undefined };
  if (command !== 1) return 'bad';
  const family = buf[13]! >> 4;
  const isStream = (buf[13]! & 15) === 1;
  const size = family === 1 ? 4 : family === 2 ? 16 : 0;
  if (!isStream || size === 0) return { length, addresses: undefined };
  if (length < 16 + 2 * size + 4) return 'bad';
  const text = (at: number): string => {
    if (size === 4) return [...buf.subarray(at, at + 4)].join('.');
    const groups: string[] = [];
    for (let i = at; i < at + 16; i += 2) groups.push(buf.readUInt16BE(i).toString(16));
    return shortIpv6(groups);
  };
  return {
    length,
    addresses: {
      address: text(16),
      serverAddress: text(16 + size),
      port: buf.readUInt16BE(16 + 2 * size),
      serverPort: buf.readUInt16BE(18 + 2 * size),
    },
  };
}

/** Writes the longest run of zero groups as `::` (RFC 5952). */
function shortIpv6(groups: readonly string[]): string {
  let best = { at: -1, length: 1 };
  for (let i = 0; i < groups.length; i++) {
    let length = 0;
    while (groups[i + length] === '0') length++;
    if (length > best.length) best = { at: i, length };
  }
  if (best.at < 0) return groups.join(':');
  return `${groups.slice(0, best.at).join(':')}::${groups.slice(best.at + best.length).join(':')}`;
}

/** Reads the header off `socket`, notes what it says in `client`, and goes on with `next`. */
export function readProxyHeader(
  socket: Socket,
  client: ClientConnection,
  next: (socket: Socket, client: ClientConnection) => void,
): void {
  let seen: Buffer = Buffer.alloc(0);
  const action = 'reading PROXY protocol';
  const deadline = new Deadline(() => {
    logConnection(client, 'info', 'client timed out (110: Connection timed out)', action);
    stop();
    socket.destroy();
  });
  const stop = (): void => {
    deadline.close();
    socket.off('readable', onReadable);
    socket.off('end', onClose);
    socket.off('close', onClose);
    socket.off('error', onClose);
  };
  const onClose = (): void => {
    stop();
    socket.destroy();
  };
  const onReadable = (): void => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    seen = seen.length ? Buffer.concat([seen, chunk]) : chunk;
    const header = parseProxyHeader(seen);
    if (header === 'more') return;
    stop();
    if (header === 'bad') {
      const line = seen.toString('latin1', 0, Math.min(seen.length, MAX_V1_BYTES)).split('\r\n')[0]!;
      logConnection(client, 'error', `broken header: "${line}"`, action);
      socket.destroy();
      return;
    }
    client.proxyProtocol = header.addresses;
    if (seen.length > header.length) socket.unshift(seen.subarray(header.length));
    next(socket, client);
  };
  deadline.set(coreModule.server(client.listen.defaultServer).client_header_timeout);
  socket.on('readable', onReadable);
  socket.on('end', onClose);
  socket.on('close', onClose);
  socket.on('error', onClose);
}
