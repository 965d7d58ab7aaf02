// How a connection to a server is made, as the location says (proxy_bind, proxy_socket_keepalive, proxy_ssl_*), and what
// the log says when it cannot be made.
import { isIP } from 'node:net';
import { errnoText } from '../config/error.ts';
import type { ConnectOptions, UpstreamConnection } from './connection.ts';
import type { Peer } from './peer.ts';
import type { UpstreamRequest } from './request.ts';
import { tlsOptions } from './tls.ts';

/** Options for `peer`, or undefined when the request cannot be sent at all (a certificate cannot be loaded). */
export function connectOptions(u: UpstreamRequest, peer: Peer, tlsName: string): ConnectOptions | undefined {
  const { settings, r, target } = u;
  const { trace } = r.client;
  if (trace) {
    trace.connecting(u, peer);
    return undefined;
  }
  let localAddress: string | undefined;
  let localPort: number | undefined;
  if (settings.bind) {
    const text = settings.bind.evaluate(r);
    const local = parseLocal(text);
    if (local) {
      localAddress = local.address;
      localPort = local.port;
    } else if (text !== '') r.log('error', `invalid local address "${text}"`);
  }
  let tls: ConnectOptions['tls'];
  if (target.isTls && settings.tls) {
    try {
      tls = tlsOptions(settings.tls, r, tlsName, peer);
    } catch (error) {
      r.log('error', (error as Error).message);
      return undefined;
    }
  }
  const address = settings.surroundings?.route(peer, u.choice!.upstream, target.isTls);
  return { localAddress, localPort, isSocketKeepalive: settings.isSocketKeepalive, tls, address };
}

/** `address`, `address:port` or `[address]:port`. */
export function parseLocal(text: string): { address: string; port: number | undefined } | undefined {
  if (isIP(text)) return { address: text, port: undefined };
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(text);
  const address = match?.[1] ?? match?.[2];
  if (!address || !isIP(address)) return undefined;
  return { address, port: match?.[3] === undefined ? undefined : Number(match[3]) };
}

/** Failures that the kernel reports only after a while; others come from connect() itself. */
const DELAYED = new Set(['ECONNREFUSED', 'ETIMEDOUT', 'EHOSTUNREACH', 'ECONNRESET']);

/** Failures that say something of the server; others say that something is wrong here. */
const ORDINARY = new Set([...DELAYED, 'EAGAIN', 'ENETDOWN', 'ENETUNREACH', 'EHOSTDOWN']);

/** The level at which a failed connection is logged. */
export function connectFailureLevel(error: NodeJS.ErrnoException, connection: UpstreamConnection): 'error' | 'crit' {
  return connection.isTransportConnected || ORDINARY.has(error.code ?? '') ? 'error' : 'crit';
}

/** nginx's text for a connection that could not be made. */
export function connectFailure(error: NodeJS.ErrnoException, connection: UpstreamConnection, peer: Peer): string {
  if (connection.isTransportConnected) {
    if (error.code === 'ECONNRESET') return `peer closed connection in SSL handshake ${errnoText(error)}`;
    return `SSL_do_handshake() failed (SSL: ${error.message})`;
  }
  if (peer.address.family !== 'unix' && DELAYED.has(error.code ?? '')) return `connect() failed ${errnoText(error)}`;
  return `connect() to ${peer.name} failed ${errnoText(error)}`;
}
