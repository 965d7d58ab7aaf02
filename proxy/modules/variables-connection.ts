// Variables about the client's connection, the process and the clock.
import { isIPv4, isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import { isoTimeNow, localTimeNow, turnMs } from '../clock.ts';
import type { Variable } from '../config/variables.ts';
import { NGINX_VERSION } from '../http/error-page.ts';
import type { Exchange } from '../http/exchange.ts';
import { addressBytes } from '../listen/cidr.ts';
import { seconds } from './log-format.ts';

function portText(port: number): string {
  return port > 0 && port < 65536 ? String(port) : '';
}

function binaryAddress(r: Exchange): string {
  const { remoteAddress } = r.client;
  if (!isIPv4(remoteAddress) && !isIPv6(remoteAddress)) return remoteAddress;
  return String.fromCharCode(...addressBytes(remoteAddress)!);
}

const hostName = hostname().toLowerCase();

export const CONNECTION_VARIABLES: readonly (readonly [string, Variable])[] = [
  ['binary_remote_addr', { get: binaryAddress, isCached: true }],
  ['remote_addr', { get: (r) => r.client.remoteAddress }],
  ['remote_port', { get: (r) => portText(r.client.remotePort) }],
  ['server_addr', { get: (r) => r.client.localAddress }],
  ['server_port', { get: (r) => portText(r.client.localPort) }],
  ['proxy_protocol_addr', { get: (r) => r.client.proxyProtocol?.address }],
  ['proxy_protocol_port', { get: (r) => r.client.proxyProtocol && portText(r.client.proxyProtocol.port) }],
  ['proxy_protocol_server_addr', { get: (r) => r.client.proxyProtocol?.serverAddress }],
  ['proxy_protocol_server_port', { get: (r) => r.client.proxyProtocol && portText(r.client.proxyProtocol.serverPort) }],
  ['scheme', { get: (r) => (r.client.tls ? 'https' : 'http') }],
  ['https', { get: (r) => (r.client.tls ? 'on' : '') }],
  ['connection', { get: (r) => String(r.client.number) }],
  ['connection_requests', { get: (r) => String(r.client.requests), isCached: true }],
  ['connection_time', { get: (r) => seconds(turnMs() - r.client.startMs) }],
  // The kernel's TCP_INFO cannot be read from here.
  ['tcpinfo_rtt', { get: () => undefined }],
  ['tcpinfo_rttvar', { get: () => undefined }],
  ['tcpinfo_snd_cwnd', { get: () => undefined }],
  ['tcpinfo_rcv_space', { get: () => undefined }],
  ['nginx_version', { get: () => NGINX_VERSION }],
  ['hostname', { get: () => hostName }],
  ['pid', { get: () => String(process.pid) }],
  ['msec', { get: () => seconds(turnMs()) }],
  ['time_iso8601', { get: () => isoTimeNow() }],
  ['time_local', { get: () => localTimeNow() }],
];
