/**
 * The PROXY protocol, versions 1 and 2, in front of the first request of a connection: who the client of the proxy is. Read only
 * when the setting proxy_protocol asks for it and the peer may use it.
 */
import { isIP } from 'node:net';
import type { BlockingSocket } from './blocking-socket.ts';
import { ClientGone, RequestError } from './errors.ts';
import type { RequestRules } from './rules.ts';

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');

/** What the proxy said; null addresses for a connection of the proxy itself. */
export interface ProxyProtocolInfo {
  readonly protocol: string;
  readonly clientAddress: string | null;
  readonly clientPort: number | null;
  readonly proxyAddress: string | null;
  readonly proxyPort: number | null;
}

const nobody = (protocol: string): ProxyProtocolInfo => ({
  protocol,
  clientAddress: null,
  clientPort: null,
  proxyAddress: null,
  proxyPort: null,
});

/** Takes the PROXY head off `bytes`, reading more as needed; `rest` is what follows it. Bytes without one come back as they are. */
export function readProxyProtocol(
  socket: BlockingSocket,
  rules: RequestRules,
  bytes: Buffer,
): { info: ProxyProtocolInfo | null; rest: Buffer } {
  const until = (enough: () => boolean): void => {
    while (!enough()) {
      const next = socket.read();
      if (next.length === 0) throw new ClientGone('');
      bytes = Buffer.concat([bytes, next]);
    }
  };
  until(() => bytes.length >= 12);
  const mode = rules.proxyProtocol;
  const isV2 = mode !== 'v1' && bytes.subarray(0, 12).equals(SIGNATURE);
  const isV1 = !isV2 && mode !== 'v2' && bytes.toString('latin1', 0, 6) === 'PROXY ';
  if (!isV1 && !isV2) return { info: null, rest: bytes };
  if (socket.peer.port !== null && !rules.proxyAllow.has(socket.peer.address)) {
    throw new RequestError('ForbiddenProxyRequest', socket.peer.address);
  }
  if (isV1) {
    until(() => bytes.includes('\r\n'));
    const end = bytes.indexOf('\r\n');
    return { info: version1(bytes.toString('latin1', 0, end)), rest: bytes.subarray(end + 2) };
  }
  until(() => bytes.length >= 16);
  const length = 16 + bytes.readUInt16BE(14);
  until(() => bytes.length >= length);
  return { info: version2(bytes.subarray(0, length)), rest: bytes.subarray(length) };
}

function version1(line: string): ProxyProtocolInfo {
  const [, protocol = '', client = '', proxy = '', clientPort = '', proxyPort = '', ...more] = line.split(' ');
  if (proxyPort === '' || more.length > 0) throw new RequestError('InvalidProxyLine', line);
  const version = { TCP4: 4, TCP6: 6 }[protocol];
  if (version === undefined) throw new RequestError('InvalidProxyLine', `protocol '${protocol}' not supported`);
  if (isIP(client) !== version || isIP(proxy) !== version) throw new RequestError('InvalidProxyLine', line);
  const ports = [clientPort, proxyPort].map((text) => (/^\d+$/.test(text) ? Number(text) : Number.NaN));
  if (!ports.every((port) => port >= 0 && port <= 65535))
    throw new RequestError('InvalidProxyLine', `invalid port ${line}`);
  return { protocol, clientAddress: client, clientPort: ports[0]!, proxyAddress: proxy, proxyPort: ports[1]! };
}

function version2(head: Buffer): ProxyProtocolInfo {
  const kind = head[12] ?? 0;
  const family = head[13] ?? 0;
  const refuse = (why: string): never => {
    throw new RequestError('InvalidProxyHeader', why);
  };
  if (kind >> 4 !== 2) refuse(`unsupported version ${kind >> 4}`);
  const command = kind & 0x0f;
  if (command > 1) refuse(`unsupported command ${command}`);
  if (command === 0) return nobody('LOCAL');
  if ((family & 0x0f) !== 1) refuse('only TCP protocol is supported');
  const data = head.subarray(16);
  if (family >> 4 === 1) {
    if (data.length < 12) refuse('insufficient address data for IPv4');
    return {
      protocol: 'TCP4',
      clientAddress: data.subarray(0, 4).join('.'),
      proxyAddress: data.subarray(4, 8).join('.'),
      clientPort: data.readUInt16BE(8),
      proxyPort: data.readUInt16BE(10),
    };
  }
  if (family >> 4 === 2) {
    if (data.length < 36) refuse('insufficient address data for IPv6');
    const text = (at: number): string =>
      new URL(
        `http://[${data
          .toString('hex', at, at + 16)
          .match(/..../g)
          ?.join(':')}]`,
      ).hostname.slice(1, -1);
    return {
      protocol: 'TCP6',
      clientAddress: text(0),
      proxyAddress: text(16),
      clientPort: data.readUInt16BE(32),
      proxyPort: data.readUInt16BE(34),
    };
  }
  if (family >> 4 === 0) return nobody('UNSPEC');
  return refuse(`unsupported address family ${family >> 4}`);
}
